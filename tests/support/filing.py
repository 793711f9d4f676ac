"""Programs that send and receive files through librats, and trees for them: what was sent, what is there."""
import hashlib
import os
import sys
import threading
from collections import defaultdict
from typing import NamedTuple

from daemons import ROOT, librats_path, wait_until

os.environ.setdefault("LIBRATS_LIBRARY", librats_path())
sys.path.insert(0, os.path.join(ROOT, "python"))

from librats_py import RatsClient, RatsError  # noqa: E402,F401  (found through the line above)

COMPLETED, FAILED, CANCELLED = ENDS = "COMPLETED", "FAILED", "CANCELLED"
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


class Asked(NamedTuple):
    """An offer (remote_path is empty) or a request of a peer (name is empty)."""

    kind: str
    peer: str
    transfer: str
    remote_path: str
    name: str


class Program:
    """A client with the file callbacks; it notes what they say. With a folder it takes what is offered into it."""

    def __init__(self, node, folder=None, silent=False):
        self.client = RatsClient(socket_path=node.socket, name="files")
        self.id = self.client.get_our_peer_id()
        self.folder = folder
        self.asked = []
        self.steps = defaultdict(list)  # transfer: [(percent, status)]
        self.files = defaultdict(list)  # transfer: [(done, total, path)]
        self.on_step = lambda transfer, percent, status: None
        self.changed = threading.Condition()
        if not silent:
            self.client.set_file_request_callback(lambda *what: self.on_asked("file", *what))
            self.client.set_directory_request_callback(lambda *what: self.on_asked("directory", *what))
        self.client.set_file_progress_callback(self.on_progress)
        self.client.set_directory_progress_callback(
            lambda transfer, done, total, path: self.files[transfer].append((done, total, path)))
        self.client.start()

    def on_asked(self, kind, peer, transfer, remote_path, name):
        with self.changed:
            self.asked.append(Asked(kind, peer, transfer, remote_path, name))
        if self.folder is not None and not remote_path:
            self.accept(self.asked[-1], os.path.join(self.folder, name))

    def on_progress(self, transfer, percent, status):
        with self.changed:
            self.steps[transfer].append((percent, status))
        self.on_step(transfer, percent, status)

    # --- to do ---

    def send(self, other, path, name=None):
        """A file or a whole directory to the peer behind another program; the transfer's id."""
        if os.path.isdir(path):
            return self.client.send_directory(other.id, path, name or os.path.basename(path))
        return self.client.send_file(other.id, path, name)

    def fetch(self, other, kind, remote_path, path):
        if kind == "directory":
            return self.client.request_directory(other.id, remote_path, path)
        return self.client.request_file(other.id, remote_path, path)

    def accept(self, asked, path):
        if asked.kind == "directory":
            self.client.accept_directory_transfer(asked.transfer, path)
        else:
            self.client.accept_file_transfer(asked.transfer, path)

    def reject(self, asked, reason=""):
        if asked.kind == "directory":
            self.client.reject_directory_transfer(asked.transfer, reason)
        else:
            self.client.reject_file_transfer(asked.transfer, reason)

    # --- to wait for ---

    def wait_asked(self, count=1):
        """The offer or request of that number."""
        wait_until(lambda: len(self.asked) >= count, "%d offers or requests" % count)
        return self.asked[count - 1]

    def statuses(self, transfer):
        """Each status it had, once for a run of the same."""
        seen = []
        for _, status in list(self.steps[transfer]):
            if not seen or seen[-1] != status:
                seen.append(status)
        return seen

    def status(self, transfer):
        """The last it was told; "" before the first."""
        return self.steps[transfer][-1][1] if self.steps[transfer] else ""

    def wait_status(self, transfer, *statuses, timeout=20):
        wait_until(lambda: set(self.statuses(transfer)) & set(statuses),
                   "transfer is %s" % " or ".join(statuses), timeout)

    def wait_end(self, transfer, timeout=60):
        """How it ended: its last status, told exactly once."""
        self.wait_status(transfer, *ENDS, timeout=timeout)
        steps = list(self.steps[transfer])
        assert [status in ENDS for _, status in steps].count(True) == 1 and steps[-1][1] in ENDS, steps
        return steps[-1][1]

    def wait_any_end(self, count=1, timeout=60):
        """Until that many transfers of this program ended: {transfer: status}."""
        def ended():
            found = {transfer: steps[-1][1] for transfer, steps in list(self.steps.items())
                     if steps and steps[-1][1] in ENDS}
            return found if len(found) >= count else None
        return wait_until(ended, "%d transfers have ended" % count, timeout)

    def wait_bytes(self, transfer, count=1):
        """Until that many bytes are at the receiver."""
        wait_until(lambda: self.progress(transfer)["bytes_transferred"] >= count, "%d bytes are there" % count)

    def progress(self, transfer):
        return self.client.get_file_transfer_progress(transfer)

    def error(self, transfer):
        return self.progress(transfer)["error"]

    def close(self):
        self.client.close()


# --- what is sent and what is there ---

def pattern(size, seed=0):
    """Bytes no two pages of which are alike."""
    block = hashlib.sha512(b"%d" % seed).digest() * 64
    count = size // len(block) + 1
    return b"".join(number.to_bytes(8, "little") + block[8:] for number in range(count))[:size]


def write_file(path, content):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)
    return str(path)


def write_tree(path, files):
    """files: {path below: content}."""
    os.makedirs(path, exist_ok=True)
    for name, content in files.items():
        write_file(os.path.join(path, name), content)
    return str(path)


def digest(path):
    found = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(MIB), b""):
            found.update(block)
    return found.hexdigest()


def contents(path):
    """{path below: digest} of everything in a directory that is no directory, whatever its name."""
    found = {}
    for folder, _, names in os.walk(path):
        for name in names:
            whole = os.path.join(folder, name)
            found[os.path.relpath(whole, path)] = ("link" if os.path.islink(whole) else digest(whole))
    return found


def is_empty(path):
    """Nothing at all is in it."""
    return not os.path.exists(path) or os.listdir(path) == []


def slow_down(node, peer_id, bytes_per_second):
    """The daemon reads what that peer sends no faster: a transfer from it takes its time."""
    node.client().call("limit.set", {"peer": peer_id, "messages_per_second": 0,
                                     "bytes_per_second": bytes_per_second})


def speed_up(node, peer_id):
    """As fast as it can again."""
    node.client().call("limit.clear", {"peer": peer_id})
