"""A machine of one's own: a real systemd as PID 1 in namespaces (tests/lab/sdbox.sh), with the build
installed into it as a package would."""
import os
import shutil
import subprocess

import daemons
import pytest

LAB = os.path.join(daemons.ROOT, "tests", "lab", "sdbox.sh")
INSIDE = os.path.join(daemons.ROOT, "tests", "systemd", "inside")
HOME = "/opt/ratsd-tests"  # in the box: the binding and the programs of inside/
PROGRAMS = ("unshare", "nsenter", "ip", "setpriv", "systemctl", "dbus-daemon", "meson")

# Runs before systemd does, with $ROOT the box's root. The box sees this machine's files, so a daemon
# that has run here would lend it its state.
SETUP = """set -eu
rm -rf "$ROOT/var/lib/ratsd" "$ROOT/etc/ratsd"
DESTDIR="$ROOT" meson install -C '{build}' --no-rebuild --quiet
ldconfig -r "$ROOT"
mkdir -p "$ROOT{home}"
cp -r '{root}/python/librats_py' '{inside}'/*.py "$ROOT{home}"
chmod -R a+rX "$ROOT{home}"
for unit in ratsd ratsd@; do
    mkdir -p "$ROOT/etc/systemd/system/$unit.service.d"
    printf '[Unit]\\nStartLimitIntervalSec=0\\n' >"$ROOT/etc/systemd/system/$unit.service.d/test.conf"
done
"""


def plain_build():
    """A whole build without a sanitizer: that needs more than the units allow."""
    build = os.path.dirname(os.path.dirname(daemons.plain_ratsd()))
    return os.path.realpath(build)


def why_not():
    """Why there can be no box here; None when there can."""
    if os.getuid() != 0:
        return "only root can make the namespaces of a systemd"
    for program in PROGRAMS:
        if not shutil.which(program):
            return "%s is not installed" % program
    if not os.path.exists(os.path.join(plain_build(), "systemd", "ratsd.service")):
        return "the build has no unit files: it was configured with -Dsystemd=false"
    probe = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--cgroup", "--net", "true"],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                           universal_newlines=True)
    if probe.returncode != 0:
        return "namespaces cannot be made here: %s" % probe.stdout.strip()
    with open("/proc/mounts", encoding="utf-8") as file:
        if not any(line.split()[2] == "cgroup2" for line in file):
            return "cgroup2 is not mounted"
    return None


class Box:
    """One booted machine."""

    def __init__(self, name):
        self.name = name
        self.build = plain_build()  # what is installed in it

    def up(self, setup):
        done = subprocess.run(["bash", LAB, "up", "--name", self.name, "--setup", setup],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              universal_newlines=True, timeout=60)
        assert done.returncode == 0, done.stdout

    def down(self):
        subprocess.run(["bash", LAB, "down", "--name", self.name], check=True, timeout=60)

    def words(self, command, user=None, env=None):
        """The command line that runs a command in the box, as a user, with more environment."""
        words = ["bash", LAB, "exec", "--name", self.name, "env", "-i", "LANG=C.UTF-8",
                 "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "PYTHONPATH=" + HOME]
        if user:
            # Not /root: XDG_RUNTIME_DIR is set only for those who have a manager of their own.
            words += ["HOME=/home/" + user]
        words += ["%s=%s" % item for item in (env or {}).items()]
        if user:
            words += ["setpriv", "--reuid=" + user, "--regid=" + user, "--init-groups"]
        return words + list(command)

    def run(self, *command, user=None, env=None, timeout=60):
        """The finished process, with what it wrote."""
        return subprocess.run(self.words(command, user, env), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                              universal_newlines=True, timeout=timeout)

    def out(self, *command, **options):
        """What a command that must succeed wrote."""
        done = self.run(*command, **options)
        assert done.returncode == 0, "%s: exit %d\n%s%s" % (
            " ".join(command), done.returncode, done.stdout, done.stderr)
        return done.stdout.strip()

    def put(self, names, source, destination):
        """Copies files and directories of this machine, which the box need not see, into it."""
        self.out("mkdir", "-p", destination)
        packed = subprocess.run(["tar", "-c", "--exclude=__pycache__", "-C", source] + names,
                                stdout=subprocess.PIPE, check=True).stdout
        subprocess.run(self.words(["tar", "-x", "-C", destination]), input=packed, check=True)

    def popen(self, *command, user=None, **options):
        return subprocess.Popen(self.words(command, user), universal_newlines=True, **options)

    def show(self, unit, name):
        """One property of a unit."""
        return self.out("systemctl", "show", "--value", "--property=" + name, unit)

    def wait_show(self, unit, name, wanted):
        daemons.wait_until(lambda: self.show(unit, name) == wanted,
                           "%s of %s is %s" % (name, unit, wanted))

    def journal(self, unit):
        return self.out("journalctl", "--no-pager", "--output=cat", "--unit", unit)

    def drop_in(self, unit, text):
        """Overrides settings of a unit until clean()."""
        directory = "/run/systemd/system/%s.d" % unit
        self.out("sh", "-c", 'mkdir -p "$1" && printf "%s" "$2" >"$1/override.conf"', "sh",
                 directory, text)
        self.out("systemctl", "daemon-reload")

    def clean(self):
        """As after the boot, and nothing of ratsd runs or has been kept."""
        self.run("systemctl", "stop", "ratsd*.socket", "ratsd*.service")
        self.run("systemctl", "reset-failed")
        self.out("sh", "-c", "rm -rf /var/lib/ratsd/* /etc/ratsd/* /run/systemd/system/ratsd*")
        self.out("systemctl", "daemon-reload")


@pytest.fixture(scope="session")
def booted(tmp_path_factory):
    reason = why_not()
    if reason:
        pytest.skip(reason)
    setup = tmp_path_factory.mktemp("box") / "setup.sh"
    setup.write_text(SETUP.format(build=plain_build(), root=daemons.ROOT, inside=INSIDE, home=HOME))
    made = Box("r%d" % (os.getpid() % 100000))
    made.up(str(setup))
    try:
        made.out("useradd", "--create-home", "--groups", "ratsd", "alice")
        made.out("useradd", "--create-home", "mallory")
        yield made
    finally:
        made.down()


@pytest.fixture
def box(booted):
    """The machine, with nothing of ratsd running in it; what failed shows the journal."""
    booted.clean()
    yield booted
    print(booted.run("journalctl", "--no-pager", "--lines=40", "--unit=ratsd*").stdout)
