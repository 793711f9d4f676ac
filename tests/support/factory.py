"""Several daemons that end together."""
import daemons


class Factory:
    """Makes daemons and ends them."""

    def __init__(self):
        self.made = []

    def make(self, **options):
        made = daemons.Daemon(**options)
        self.made.append(made)
        return made

    def __call__(self, **options):
        return self.make(**options).start()

    def close(self):
        faults = []
        for made in reversed(self.made):
            try:
                made.stop()
            except AssertionError as fault:
                faults.append(str(fault))
        assert not faults, "\n".join(faults)
