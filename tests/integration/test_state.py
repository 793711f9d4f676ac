"""State on disk: kill -9 while it is written, power cuts at every step of writing it, and damage
(reliability.md R6, R7, R8, V29)."""
import os
import random
import re
import shutil
import stat
import subprocess
import time

import daemons
import pytest

LONG = bool(os.environ.get("RATS_LONG"))
EXIT_DAMAGED = 4
KEY, RECORD, LOCK = "identity.key", "identity.pub", "lock"


def read(node, name):
    with open(os.path.join(node.state, name), "rb") as file:
        return file.read()


def write(node, name, content):
    path = os.path.join(node.state, name)
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, 0o600)


def said_since(node, before):
    return node.log()[len(before):]


def refused(node):
    """It ends with exit status 4; what it said."""
    before = node.log()
    ended, _ = node.run()
    said = said_since(node, before)
    assert ended == EXIT_DAMAGED, "exit %d\n%s" % (ended, said)
    return said


# --- the identity and its record ---

def test_the_record_is_private_and_says_who_we_are(daemon):
    node = daemon()
    public_key, peer_id = read(node, RECORD).decode("ascii").split()
    assert len(public_key) == 64 and peer_id == node.peer_id
    assert stat.S_IMODE(os.stat(os.path.join(node.state, RECORD)).st_mode) == 0o600


def test_a_key_that_does_not_fit_its_record_stops_the_start(daemon):
    node = daemon()
    peer_id, key = node.peer_id, read(node, KEY)
    node.terminate()
    write(node, KEY, os.urandom(32))
    said = refused(node)
    assert node.state in said and "backup" in said and "--new-identity" in said
    write(node, KEY, key)
    node.start()
    assert node.peer_id == peer_id


def test_a_key_that_is_gone_stops_the_start(daemon):
    node = daemon()
    node.terminate()
    os.remove(os.path.join(node.state, KEY))
    assert "is gone" in refused(node)
    assert not os.path.exists(os.path.join(node.state, KEY))


def test_a_new_identity_is_made_when_asked_for_and_the_old_one_kept(daemon):
    node = daemon()
    old_id, old_key = node.peer_id, read(node, KEY)
    node.terminate()
    write(node, KEY, b"damaged")
    refused(node)
    write(node, KEY, old_key)
    node.options = ["--new-identity"]
    node.start()
    new_id = node.peer_id
    assert new_id != old_id
    assert read(node, KEY + ".old") == old_key
    node.terminate()
    node.options = []
    node.start()
    assert node.peer_id == new_id


def test_a_missing_record_is_made_again_with_a_warning(daemon):
    node = daemon()
    peer_id, record = node.peer_id, read(node, RECORD)
    node.terminate()
    os.remove(os.path.join(node.state, RECORD))
    node.start()
    assert node.peer_id == peer_id and read(node, RECORD) == record
    assert "identity.pub was missing" in node.log()


def serves(node):
    """Waits until it greets or has ended; whether it greets."""
    def decided():
        try:
            return node.answers()
        except AssertionError:  # it has ended
            return True
    daemons.wait_until(decided, "it greets or ends")
    return node.running()


# --- R8: damage. Every bit and every length of both files are in tests/unit/test_identity.c. ---

def test_a_damaged_file_never_means_another_identity(daemon):
    node = daemon()
    peer_id = node.peer_id
    node.terminate()
    whole = {name: read(node, name) for name in (KEY, RECORD, LOCK)}
    dice = random.Random(8)
    damages = [(name, content[:size]) for name, content in whole.items()
               for size in sorted({0, 1, len(content) // 2, len(content) - 1})]
    for name, content in whole.items():
        for _ in range(1000 // 3 if LONG else 6):
            bit = dice.randrange(8 * len(content))
            flipped = bytearray(content)
            flipped[bit // 8] ^= 1 << bit % 8
            damages.append((name, bytes(flipped)))
    for name, content in damages:
        for other in whole:
            write(node, other, whole[other])
        write(node, name, content)
        node.spawn()
        if serves(node):
            assert node.peer_id == peer_id, "%s: %r" % (name, content)
            node.terminate()
        else:
            assert node.process.returncode == EXIT_DAMAGED, (name, content, node.log()[-1000:])
            assert read(node, KEY) == (content if name == KEY else whole[KEY])


# --- R6: kill -9 ---

def start_and_kill(node, delay):
    """kill -9 that long after the start, wherever it then is."""
    node.spawn()
    time.sleep(delay)
    node.kill()


@pytest.fixture
def pace(daemon):
    """Seconds a start takes here, from spawn to a greeting."""
    node = daemon.make(name="pace")
    from_time = time.monotonic()
    node.start()
    return time.monotonic() - from_time


def test_kill_9_at_any_moment_leaves_the_identity(daemon, pace):
    """Each start writes state: the record was removed before it."""
    node = daemon()
    peer_id, key, record = node.peer_id, read(node, KEY), read(node, RECORD)
    node.kill()
    dice = random.Random(6)
    interrupted = 0
    for _ in range(1000 if LONG else 100):
        os.remove(os.path.join(node.state, RECORD))
        start_and_kill(node, dice.uniform(0, pace))
        assert read(node, KEY) == key
        if os.path.exists(os.path.join(node.state, RECORD)):
            assert read(node, RECORD) == record
        else:
            interrupted += 1
            write(node, RECORD, record)
    node.start()
    assert node.peer_id == peer_id
    assert interrupted > 0, "no start was killed before it had written"


def test_kill_9_at_the_first_start_leaves_no_half_identity(daemon, pace):
    dice = random.Random(66)
    unborn = 0
    for i in range(300 if LONG else 30):
        node = daemon.make(name="first%d" % i)
        start_and_kill(node, dice.uniform(0, pace))
        try:
            key = read(node, KEY)
        except FileNotFoundError:
            key = None
            unborn += 1
        node.start()
        assert key is None or read(node, KEY) == key
        assert read(node, RECORD).decode("ascii").split()[1] == node.peer_id
        assert sorted(name for name in os.listdir(node.state) if ".db" not in name) == [
            KEY, RECORD, LOCK]
        node.stop()
    assert unborn > 0, "no start was killed before it had a key"


# --- R7: the power goes off ---

CALLS = "openat,write,ftruncate,fchmod,fchmodat,fsync,fdatasync,linkat,link,renameat,renameat2," \
        "rename,unlinkat,unlink,mkdirat,mkdir"
CALL = re.compile(r"^(\w+)\((.*)\) += (\d+)(?:<.*>)?$")


def record_start(node):
    """What a start does to its state directory: (call, arguments) in order, as strace sees it."""
    trace = os.path.join(node.directory, "trace")
    words = node.command()
    node.command = lambda: ["strace", "-y", "-s", "4096", "-o", trace, "-e", "trace=" + CALLS] + words
    env = os.environ.get("ASAN_OPTIONS", "")
    os.environ["ASAN_OPTIONS"] = env + ":detect_leaks=0"  # LeakSanitizer cannot work under strace
    try:
        node.start()
    finally:
        os.environ["ASAN_OPTIONS"] = env
        del node.command
    tracer = node.process.pid
    inner = subprocess.check_output(["pgrep", "-P", str(tracer)], universal_newlines=True).split()
    os.kill(int(inner[0]), 9)
    node.process.wait()
    with open(trace, encoding="utf-8") as file:
        lines = file.read().splitlines()
    calls = [m.groups() for m in map(CALL.match, lines) if m]
    ours = re.compile(r"(\d+|AT_FDCWD)<%s[/>]" % re.escape(node.state))
    # What SQLite does to its files is SQLite's: tests/unit/test_database.c.
    return [(name, arguments) for name, arguments, _ in calls
            if ours.match(arguments) and ".db" not in arguments]


class Disk:
    """The state directory as the calls make it, with what has reached the disk of it: the content of
    a file when it was synced, names when the directory was synced."""

    def __init__(self, path):
        self.path = path
        self.files = {}  # name: inode
        self.inodes = {}  # inode: [content, synced content]
        self.durable = {}  # names at the last sync of the directory

    def load(self):
        for name in os.listdir(self.path):
            if ".db" in name:
                continue
            with open(os.path.join(self.path, name), "rb") as file:
                content = file.read()
            self.files[name] = len(self.inodes)
            self.inodes[len(self.inodes)] = [content, content]
        self.durable = dict(self.files)

    def name_in(self, arguments, which=0):
        """A plain name in "directory descriptor, name" pairs."""
        pairs = re.findall(r'(?:\d+|AT_FDCWD)<%s>, "([^"]*)"' % re.escape(self.path), arguments)
        return pairs[which] if len(pairs) > which else None

    def file_of(self, arguments):
        match = re.match(r"\d+<%s/([^/>]+)>" % re.escape(self.path), arguments)
        return match.group(1) if match else None

    def apply(self, call, arguments):
        """True when this call changed something."""
        if call == "openat":
            name = self.name_in(arguments)
            if name and "O_CREAT" in arguments and name not in self.files:
                self.files[name] = len(self.inodes)
                self.inodes[len(self.inodes)] = [b"", b""]
                return True
            return False
        if call in ("write", "ftruncate"):
            inode = self.inodes[self.files[self.file_of(arguments)]]
            if call == "ftruncate":
                inode[0] = inode[0][:int(arguments.rsplit(",", 1)[1])]
            else:
                text = re.search(r'>, "(.*)", \d+$', arguments, re.DOTALL).group(1)
                inode[0] += text.encode("latin-1").decode("unicode_escape").encode("latin-1")
            return True
        if call in ("fsync", "fdatasync"):
            name = self.file_of(arguments)
            if name:
                inode = self.inodes[self.files[name]]
                inode[1] = inode[0]
            else:
                self.durable = dict(self.files)
            return True
        return self.apply_to_names(call, arguments)

    def apply_to_names(self, call, arguments):
        name = self.name_in(arguments)
        if call == "linkat":
            self.files[self.name_in(arguments, 1)] = self.files[name]
        elif call.startswith("rename"):
            self.files[self.name_in(arguments, 1)] = self.files.pop(name)
        elif call == "unlinkat":
            self.files.pop(name, None)
        return call in ("linkat", "unlinkat") or call.startswith("rename")

    def after_power_cut(self):
        """What may be found afterwards: names as they were synced or as they are now, and of each
        file all, the half or nothing of what was not synced."""
        for names in (self.durable, self.files):
            for lost in (lambda now, synced: now, lambda now, synced: synced,
                         lambda now, synced: synced + now[len(synced):][:len(now) // 2]):
                yield {name: lost(*self.inodes[inode]) for name, inode in names.items()}


def outcomes(disk, calls):
    """Every state a power cut may leave, without those seen before."""
    seen = []
    for call in [None] + calls:
        if call and not disk.apply(*call):
            continue
        for files in disk.after_power_cut():
            if files not in seen:
                seen.append(files)
    return seen


def put_state(node, files):
    shutil.rmtree(node.state, ignore_errors=True)
    os.mkdir(node.state, 0o700)
    for name, content in files.items():
        write(node, name, content)


needs_strace = pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")


@needs_strace
def test_a_power_cut_during_the_first_start(daemon):
    """The next start makes an identity, or finds the one that was being made, whole."""
    node = daemon.make()
    calls = record_start(node)
    key = read(node, KEY)
    states = outcomes(Disk(node.state), calls)
    assert any(KEY in files for files in states) and any(KEY not in files for files in states)
    assert len(states) > 10, calls
    for files in states:
        assert files.get(KEY, key) == key, "a half key: %r" % files
        put_state(node, files)
        node.start()
        assert (read(node, KEY) == key) == (KEY in files)
        node.terminate()


@needs_strace
@pytest.mark.parametrize("before", ["as it was", "no record", "damaged record", "new identity",
                                    "given key"])
def test_a_power_cut_during_a_later_start(daemon, before):
    """The next start has the old identity, or the new one where that was asked for."""
    node = daemon()
    node.kill()
    key, record = read(node, KEY), read(node, RECORD)
    if before == "no record":
        os.remove(os.path.join(node.state, RECORD))
    elif before == "damaged record":
        write(node, RECORD, record[:64] + b"?" + record[65:])
    elif before == "new identity":
        node.options = ["--new-identity"]
    elif before == "given key":
        given = os.path.join(node.directory, "given.key")
        with open(given, "wb") as file:
            file.write(b"k" * len(key))
        words = node.command() + ["--identity-fd", "5"]
        node.command = lambda: ["sh", "-c", 'exec "$@" 5<"$0"', given] + words
    disk = Disk(node.state)
    disk.load()
    calls = record_start(node)
    node.options = []
    new_key = read(node, KEY)
    assert (new_key == key) == (before not in ("new identity", "given key"))
    for files in outcomes(disk, calls):
        put_state(node, files)
        if before == "new identity" and KEY not in files and RECORD in files:
            refused(node)  # cut between the two: it says so, and no third identity is made
            continue
        assert before != "given key" or files[KEY] in (key, new_key)
        node.start()
        found = read(node, KEY)
        if before != "new identity" or KEY in files:
            assert found in (key, new_key), "%r became another identity" % files
        node.terminate()
