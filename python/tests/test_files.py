"""Files and directories through ``RatsClient``: two daemons, linked, and clients at both."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest
from support import Pair, event, wait_until

from librats_py import (
    ErrorCode,
    FileTransferStatus,
    RatsClient,
    RatsError,
    RatsInvalidParameterError,
    RatsNotRunningError,
    RatsPeerNotFoundError,
    RatsTimeoutError,
)
from librats_py.dispatch import Dispatcher
from librats_py.pytest_plugin import Ratsd

Told = List[Tuple[Any, ...]]


@pytest.fixture
def pair(ratsd_factory: Callable[..., Ratsd]) -> Iterator[Pair]:
    made = Pair(ratsd_factory)
    made.link()
    yield made
    made.close()


def accept_into(client: RatsClient, directory: Path) -> Told:
    """Takes what is offered under its own name; what it was shown."""
    shown: Told = []

    def on_file(*request: str) -> None:
        shown.append(("file",) + request)
        client.accept_file_transfer(request[1], directory / request[3])

    def on_directory(*request: str) -> None:
        shown.append(("directory",) + request)
        client.accept_directory_transfer(request[1], directory / request[3])

    client.set_file_request_callback(on_file)
    client.set_directory_request_callback(on_directory)
    return shown


def end_of(client: RatsClient, transfer_id: str) -> Dict[str, Any]:
    return list(client.transfer_progress(transfer_id, timeout=30))[-1]


def listing(directory: Path) -> Dict[str, bytes]:
    """Every file below, by its path, hidden ones too."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


@pytest.mark.integration
@pytest.mark.parametrize("size", [0, 1, 70000, 5 * 1024 * 1024])
def test_a_file_arrives_as_it_was(pair: Pair, tmp_path: Path, size: int) -> None:
    source = tmp_path / "source.bin"
    source.write_bytes(os.urandom(size))
    shown = accept_into(pair.b, tmp_path / "in")
    progress: Told = []
    pair.a.set_file_progress_callback(lambda *news: progress.append(news))
    transfer_id = pair.a.send_file(pair.b_id, source, "grüße.bin")
    end = end_of(pair.a, transfer_id)
    assert end["status"] == FileTransferStatus.COMPLETED, end
    assert end["completion_percentage"] == 100.0 and end["bytes_transferred"] == size
    assert end["local_path"] == str(source) and end["direction"] == 0
    assert listing(tmp_path / "in") == {"grüße.bin": source.read_bytes()}
    assert shown == [("file", pair.a_id, shown[0][2], "", "grüße.bin")]
    received = end_of(pair.b, shown[0][2])
    assert received["status"] == FileTransferStatus.COMPLETED and received["direction"] == 1
    assert received["local_path"] == str(tmp_path / "in" / "grüße.bin")
    wait_until(lambda: progress and progress[-1][2] == "COMPLETED")
    assert [news[2] for news in progress].count("COMPLETED") == 1
    assert progress[-1] == (transfer_id, 100, "COMPLETED")
    assert [news[1] for news in progress] == sorted(news[1] for news in progress)


@pytest.mark.integration
def test_a_directory_arrives_with_everything_below(pair: Pair, tmp_path: Path) -> None:
    source = tmp_path / "album"
    deep = source.joinpath(*["d"] * 40)
    deep.mkdir(parents=True)
    (deep / "bottom").write_bytes(b"deep")
    (source / "empty").write_bytes(b"")
    (source / "void").mkdir()
    for i in range(300):
        (source / "f{:03}".format(i)).write_bytes(os.urandom(i))
    (source / "link").symlink_to("f001")
    os.mkfifo(str(source / "pipe"))
    accept_into(pair.b, tmp_path / "in")
    files: Told = []
    sent: Told = []
    pair.b.set_directory_progress_callback(lambda *news: files.append(news))
    pair.a.set_directory_progress_callback(lambda *news: sent.append(news))
    transfer_id = pair.a.send_directory(pair.b_id, source)
    end = end_of(pair.a, transfer_id)
    assert end["status"] == FileTransferStatus.COMPLETED, end
    assert end["kind"] == "directory" and end["files_completed"] == end["total_files"] == 302
    expected = listing(source)
    del expected["link"]
    assert listing(tmp_path / "in" / "album") == expected
    for told in (files, sent):
        wait_until(lambda: len(told) == 302)
        assert [news[1:3] for news in told] == [(i + 1, 302) for i in range(302)]
        assert [news[3] for news in told] == sorted(expected, key=lambda p: (p.count("/"), p))


@pytest.mark.integration
def test_only_the_top_of_a_directory(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "src" / "below").mkdir(parents=True)
    (tmp_path / "src" / "top").write_bytes(b"1")
    (tmp_path / "src" / "below" / "file").write_bytes(b"2")
    accept_into(pair.b, tmp_path / "in")
    end = end_of(pair.a, pair.a.send_directory(pair.b_id, tmp_path / "src", "x", recursive=False))
    assert end["status"] == FileTransferStatus.COMPLETED
    assert listing(tmp_path / "in") == {"x/top": b"1"}


@pytest.mark.integration
def test_an_empty_directory_arrives(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    accept_into(pair.b, tmp_path / "in")
    end = end_of(pair.a, pair.a.send_directory(pair.b_id, tmp_path / "src"))
    assert end["status"] == FileTransferStatus.COMPLETED, end
    assert (tmp_path / "in" / "src").is_dir() and not listing(tmp_path / "in")


@pytest.mark.integration
def test_a_shared_directory_is_served_without_asking(pair: Pair, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    (shared / "docs").mkdir(parents=True)
    (shared / "docs" / "a.txt").write_bytes(b"text")
    (tmp_path / "secret").write_bytes(b"secret")
    (shared / "out").symlink_to("../secret")
    (shared / "in").symlink_to("docs/a.txt")
    asked: Told = []
    pair.b.set_file_request_callback(lambda *request: asked.append(request))
    pair.b.add_share_root(shared)
    for wanted in ("docs/a.txt", str(shared / "docs" / "a.txt"), "in"):
        transfer_id = pair.a.request_file(pair.b_id, wanted, tmp_path / "got" / "a.txt")
        end = end_of(pair.a, transfer_id)
        assert end["status"] == FileTransferStatus.COMPLETED and end["request"], end
        assert (tmp_path / "got" / "a.txt").read_bytes() == b"text"
    assert asked == []
    transfer_id = pair.a.request_directory(pair.b_id, "docs", tmp_path / "tree")
    assert end_of(pair.a, transfer_id)["status"] == FileTransferStatus.COMPLETED
    assert listing(tmp_path / "tree") == {"a.txt": b"text"}
    for wanted in ("out", "../secret", "docs/../../secret", str(tmp_path / "secret"), "docs"):
        transfer_id = pair.a.request_file(pair.b_id, wanted, tmp_path / "got" / "none")
        wait_until(lambda: asked and asked[-1][2] == wanted)
        pair.b.reject_file_transfer(asked[-1][1], "no")
        end = end_of(pair.a, transfer_id)
        assert end["status"] != FileTransferStatus.COMPLETED
        assert "no" in end["error"], end
    assert listing(tmp_path / "got") == {"a.txt": b"text"}
    pair.b.remove_share_root(shared)
    with pytest.raises(RatsError):
        pair.b.remove_share_root(shared)


@pytest.mark.integration
def test_a_request_is_answered_with_what_the_program_chooses(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "chosen").write_bytes(b"chosen")
    asked: Told = []

    def on_request(*request: str) -> None:
        asked.append(request)
        pair.b.accept_file_transfer(request[1], tmp_path / "chosen")

    pair.b.set_file_request_callback(on_request)
    transfer_id = pair.a.request_file(pair.b_id, "any/name", tmp_path / "got")
    end = end_of(pair.a, transfer_id)
    assert end["status"] == FileTransferStatus.COMPLETED, end
    assert (tmp_path / "got").read_bytes() == b"chosen"
    assert asked == [(pair.a_id, asked[0][1], "any/name", "")]


@pytest.mark.integration
def test_a_refusal_ends_the_transfer_and_leaves_nothing(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"1")
    shown: Told = []
    pair.b.set_file_request_callback(lambda *request: shown.append(request))
    transfer_id = pair.a.send_file(pair.b_id, tmp_path / "f")
    wait_until(lambda: shown)
    pair.b.reject_file_transfer(shown[0][1], "not today")
    end = end_of(pair.a, transfer_id)
    assert end["status"] == FileTransferStatus.CANCELLED and "not today" in end["error"], end
    assert end_of(pair.b, shown[0][1])["status"] == FileTransferStatus.CANCELLED
    with pytest.raises(RatsError) as caught:
        pair.b.accept_file_transfer(shown[0][1], tmp_path / "in")
    assert caught.value.error_code == ErrorCode.OPERATION_FAILED
    assert not (tmp_path / "in").exists()


@pytest.mark.integration
def test_nobody_takes_files_without_a_callback(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"1")
    end = end_of(pair.a, pair.a.send_file(pair.b_id, tmp_path / "f"))
    assert end["status"] == FileTransferStatus.CANCELLED, end
    pair.b.add_share_root(tmp_path)  # wants to be shown requests, and refuses offers at once
    end = end_of(pair.a, pair.a.send_file(pair.b_id, tmp_path / "f"))
    assert end["status"] == FileTransferStatus.CANCELLED, end


@pytest.mark.integration
def test_pausing_and_resuming(pair: Pair, tmp_path: Path) -> None:
    source = tmp_path / "big"
    with source.open("wb") as file:
        file.truncate(256 * 1024 * 1024)
    accept_into(pair.b, tmp_path / "in")
    states: List[str] = []
    paused = threading.Event()

    def on_progress(transfer_id: str, percent: int, status: str) -> None:
        states.append(status)
        if status == "IN_PROGRESS" and not paused.is_set():
            paused.set()
            pair.a.pause_file_transfer(transfer_id)
        elif status == "PAUSED":
            pair.a.resume_file_transfer(transfer_id)

    pair.a.set_file_progress_callback(on_progress)
    transfer_id = pair.a.send_file(pair.b_id, source)
    assert end_of(pair.a, transfer_id)["status"] == FileTransferStatus.COMPLETED
    wait_until(lambda: states[-1] == "COMPLETED")
    with pytest.raises(RatsError):
        pair.a.resume_file_transfer(transfer_id)
    assert states.index("PAUSED") + 1 == states.index("RESUMING")
    assert "IN_PROGRESS" in states[states.index("RESUMING") :]
    assert (tmp_path / "in" / "big").stat().st_size == 256 * 1024 * 1024


@pytest.mark.integration
@pytest.mark.parametrize("by_sender", [True, False])
def test_cancelling_leaves_nothing_behind(pair: Pair, tmp_path: Path, by_sender: bool) -> None:
    source = tmp_path / "big"
    with source.open("wb") as file:
        file.truncate(1 << 32)
    shown = accept_into(pair.b, tmp_path / "in")
    transfer_id = pair.a.send_file(pair.b_id, source)
    for progress in pair.a.transfer_progress(transfer_id, timeout=30):
        if progress["status"] == FileTransferStatus.IN_PROGRESS:
            if by_sender:
                pair.a.cancel_file_transfer(transfer_id)
            else:
                pair.b.cancel_file_transfer(shown[0][2])
            break
    for client, its_id in ((pair.a, transfer_id), (pair.b, shown[0][2])):
        assert end_of(client, its_id)["status"] == FileTransferStatus.CANCELLED
    assert os.listdir(str(tmp_path / "in")) == []
    with pytest.raises(RatsError):
        pair.a.cancel_file_transfer(transfer_id)


@pytest.mark.integration
def test_what_is_there_is_replaced_as_a_whole(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"new")
    (tmp_path / "in").mkdir()
    (tmp_path / "elsewhere").write_bytes(b"untouched")
    (tmp_path / "in" / "f").symlink_to("../elsewhere")
    accept_into(pair.b, tmp_path / "in")
    end = end_of(pair.a, pair.a.send_file(pair.b_id, tmp_path / "f"))
    assert end["status"] == FileTransferStatus.COMPLETED, end
    assert not (tmp_path / "in" / "f").is_symlink()
    assert listing(tmp_path / "in") == {"f": b"new"}
    assert (tmp_path / "elsewhere").read_bytes() == b"untouched"


@pytest.mark.integration
def test_a_daemon_that_dies_fails_its_transfers_once(pair: Pair, tmp_path: Path) -> None:
    source = tmp_path / "big"
    with source.open("wb") as file:
        file.truncate(1 << 34)
    shown = accept_into(pair.b, tmp_path / "in")
    told: Told = []
    pair.b.set_file_progress_callback(lambda *news: told.append(news))
    pair.a.send_file(pair.b_id, source)
    wait_until(lambda: told and told[-1][2] == "IN_PROGRESS")
    pair.there.kill()
    end = end_of(pair.b, shown[0][2])
    assert end["status"] == FileTransferStatus.FAILED and "daemon" in end["error"]
    wait_until(lambda: told[-1][2] == "FAILED")
    assert [news[2] for news in told].count("FAILED") == 1
    wait_until(lambda: os.listdir(str(tmp_path / "in")) == [])


@pytest.mark.integration
def test_what_cannot_be_sent(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"1")
    os.mkfifo(str(tmp_path / "pipe"))
    with pytest.raises(RatsPeerNotFoundError):
        pair.a.send_file("ab" * 32, tmp_path / "f")
    with pytest.raises(RatsError) as caught:
        pair.a.send_file(pair.b_id, tmp_path / "absent")
    assert caught.value.error_code == ErrorCode.NOT_FOUND
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(RatsInvalidParameterError):
            pair.a.send_file(pair.b_id, path)
    with pytest.raises(RatsInvalidParameterError):
        pair.a.send_directory(pair.b_id, tmp_path / "f")
    with pytest.raises(RatsInvalidParameterError):
        pair.a.send_file(pair.b_id, "f\0g")
    with pytest.raises(RatsError):
        pair.a.request_file(pair.b_id, "x", tmp_path)
    for act in (pair.a.cancel_file_transfer, pair.a.pause_file_transfer):
        with pytest.raises(RatsError) as caught:
            act("0" * 32)
        assert caught.value.error_code == ErrorCode.OPERATION_FAILED
    assert pair.a.get_file_transfer_progress("0" * 32) == {}
    with pytest.raises(RatsError):
        next(pair.a.transfer_progress("0" * 32))
    assert pair.a.get_file_transfers() == []


@pytest.mark.integration
def test_statistics_and_the_list(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"12345")
    accept_into(pair.b, tmp_path / "in")
    ids = [pair.a.send_file(pair.b_id, tmp_path / "f", "n{}".format(i)) for i in range(3)]
    for transfer_id in ids:
        assert end_of(pair.a, transfer_id)["status"] == FileTransferStatus.COMPLETED
    assert [transfer["transfer_id"] for transfer in pair.a.get_file_transfers()] == ids
    sums = pair.a.get_file_transfer_statistics()
    assert sums["total_bytes_sent"] == 15 and sums["total_files_sent"] == 3
    assert sums["completed_transfers"] == 3 and sums["success_rate"] == 1.0
    assert sums["active_transfers"] == 0 and isinstance(sums["average_send_rate_bps"], float)


@pytest.mark.integration
def test_following_ends_with_the_client(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"1")
    pair.b.set_file_request_callback(lambda *request: None)
    transfer_id = pair.a.send_file(pair.b_id, tmp_path / "f")
    with pytest.raises(RatsTimeoutError):
        list(pair.a.transfer_progress(transfer_id, timeout=0.01))
    following = pair.a.transfer_progress(transfer_id, timeout=30)
    assert next(following)["status"] == FileTransferStatus.STARTING
    stopper = threading.Timer(0.05, pair.a.stop)
    stopper.start()
    with contextlib.suppress(RatsNotRunningError):  # when the stop was seen before its effect
        assert list(following)[-1]["status"] == FileTransferStatus.CANCELLED
    stopper.join()
    assert pair.a.get_file_transfer_progress(transfer_id)
    pair.a.close()
    with pytest.raises(RatsNotRunningError):
        next(pair.a.transfer_progress(transfer_id))


def test_events_reach_their_functions() -> None:
    told: Told = []
    dispatcher = Dispatcher()
    dispatcher.start()
    transfers = dispatcher.transfers
    transfers.file_request = lambda *args: told.append(("file",) + args)
    transfers.directory_request = lambda *args: told.append(("directory",) + args)
    transfers.file_progress = lambda *args: told.append(args)
    transfers.directory_progress = lambda *args: told.append(args)
    shown = {"transfer_id": "t", "peer_id": "p", "kind": "file", "remote_path": "", "name": "n"}
    progressed = {"transfer_id": "t", "completion_percentage": 99.9, "status": 2}
    files = {"transfer_id": "t", "first": 1, "total_files": 3, "files": ["a", "b"]}
    dispatcher.process(event("transfer.shown", shown))
    dispatcher.process(event("transfer.shown", dict(shown, kind="directory")))
    dispatcher.process(event("transfer.progressed", progressed))
    dispatcher.process(event("transfer.files", files))
    dispatcher.process(event("transfer.files", {}))
    dispatcher.process(event("transfer.opened", {}))
    assert told == [
        ("file", "p", "t", "", "n"),
        ("directory", "p", "t", "", "n"),
        ("t", 99, "IN_PROGRESS"),
        ("t", 2, 3, "a"),
        ("t", 3, 3, "b"),
    ]


EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def run_example(daemon: Ratsd, directory: Path, *words: str) -> "subprocess.Popen[str]":
    environment = dict(os.environ, RATS_SOCKET=daemon.socket_path, PYTHONPATH=str(EXAMPLES.parent))
    directory.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, str(EXAMPLES / words[0])] + list(words[1:]),
        env=environment,
        cwd=str(directory),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        universal_newlines=True,
    )


@pytest.mark.integration
def test_the_example_sends_and_receives(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"by example")
    ann = run_example(pair.here, tmp_path / "ann", "file_transfer.py")
    bob = run_example(pair.there, tmp_path / "bob", "file_transfer.py")
    assert ann.stdin is not None and ann.stdout is not None
    assert bob.stdin is not None and bob.stdout is not None
    bob.stdin.write("peers\n")
    bob.stdin.flush()
    assert pair.a_id in bob.stdout.readline()  # and its callback is set
    ann.stdin.write("send {} {}\n".format(pair.b_id, tmp_path / "f"))
    ann.stdin.flush()
    lines = iter(ann.stdout.readline, "")
    assert any(line.rstrip().endswith("100 COMPLETED") for line in lines)
    assert (tmp_path / "bob" / "received" / "f").read_bytes() == b"by example"
    out, _ = ann.communicate("transfers\nstats\nwhat\nquit\n", timeout=30)
    assert "'total_files_sent': 1" in out and "connect HOST PORT" in out
    bob.communicate("quit\n", timeout=30)
    assert ann.returncode == bob.returncode == 0


def started_programs(client: RatsClient) -> List[str]:
    sessions = client.call("session.list")["sessions"]
    return [session["name"] for session in sessions if session["started"]]


@pytest.mark.integration
def test_what_is_dropped_into_the_folder_reaches_the_other(pair: Pair, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("ann", "bob")]
    programs = []
    for daemon, client, folder in ((pair.here, pair.a, folders[0]), (pair.there, pair.b, folders[1])):
        programs.append(run_example(daemon, folder, "drop_folder.py", "."))
        wait_until(lambda: "drop_folder.py" in started_programs(client), 20)
    for i, folder in enumerate(folders):
        (folder / "from{}".format(i)).write_bytes(b"%d" % i)
    whole = {"from0": b"0", "from1": b"1"}
    wait_until(lambda: [listing(folder) for folder in folders] == [whole, whole], 20)
    for program in programs:
        program.send_signal(signal.SIGINT)
        program.communicate(timeout=30)
