"""Runs many small cases on as many threads as there are processors, and tells all that failed."""
import os
import queue
import threading
import traceback

SHOWN = 12


def each(cases, make_stage, run):
    """run(stage, case) for each; a thread makes one stage for itself and closes it."""
    waiting = queue.SimpleQueue()
    for case in cases:
        waiting.put(case)
    failed = []

    def work():
        stage = None
        try:
            while len(failed) < SHOWN:
                case = waiting.get_nowait()
                stage = stage or make_stage()
                try:
                    run(stage, case)
                except Exception:  # every kind is a finding
                    said = traceback.format_exc(limit=-3)
                    failed.append("%r: %s" % (case, said[:600] + " ... " + said[-1500:] if len(said) > 2200 else said))
                    stage.close()
                    stage = None
        except queue.Empty:
            pass
        except Exception:
            failed.append(traceback.format_exc())
        finally:
            if stage:
                stage.close()

    threads = [threading.Thread(target=work) for _ in range(max(2, os.cpu_count() or 2))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, "%d cases failed:\n\n%s" % (len(failed), "\n\n".join(failed))
