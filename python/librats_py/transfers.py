"""What a client is told of its transfers: the library's own events on their way to functions.

The library makes these events (``rats_take_batch`` in librats.h): offers and requests to be shown,
how far a transfer is, files of a directory that are whole. The setters may be called from any
thread; ``deliver`` runs on the dispatch thread.
"""

import threading
from typing import Any, Callable, Dict, Optional, Set

from .callbacks import (
    DirectoryProgressCallback,
    DirectoryRequestCallback,
    FileProgressCallback,
    FileRequestCallback,
)
from .enums import FileTransferStatus

__all__ = ["ENDED", "TransferEvents", "Watch"]

ENDED = (
    FileTransferStatus.COMPLETED,
    FileTransferStatus.FAILED,
    FileTransferStatus.CANCELLED,
)

# kind of callback, the function, its arguments
Guarded = Callable[..., None]


class Watch:
    """Somebody who waits for news of one transfer; ``wake`` may be called from any thread."""

    def __init__(self, transfer_id: str, wake: Callable[[], None]) -> None:
        self.transfer_id = transfer_id
        self.wake = wake


class TransferEvents:
    """The functions for transfers and those who wait for news of one.

    They take the place of rats_set_file_request_callback, rats_set_directory_request_callback,
    rats_set_file_progress_callback and rats_set_directory_progress_callback.
    """

    def __init__(self) -> None:
        self.file_request: Optional[FileRequestCallback] = None
        self.directory_request: Optional[DirectoryRequestCallback] = None
        self.file_progress: Optional[FileProgressCallback] = None
        self.directory_progress: Optional[DirectoryProgressCallback] = None
        self._lock = threading.Lock()
        self._watches: Set[Watch] = set()

    # --- those who wait -------------------------------------------------------------------

    def add(self, watch: Watch) -> None:
        with self._lock:
            self._watches.add(watch)

    def remove(self, watch: Watch) -> None:
        with self._lock:
            self._watches.discard(watch)

    def wake_all(self) -> None:
        """No more news will come: everybody looks around."""
        for watch in self._snapshot():
            watch.wake()

    def _snapshot(self) -> Set[Watch]:
        with self._lock:
            return set(self._watches)

    # --- events ---------------------------------------------------------------------------

    def deliver(
        self, event: str, fields: Dict[str, Any], guarded: Guarded, live: Callable[[], bool]
    ) -> None:
        if event == "transfer.progressed":
            self._deliver_progress(fields, guarded)
        elif event == "transfer.shown":
            self._deliver_shown(fields, guarded)
        elif event == "transfer.files":
            self._deliver_files(fields, guarded, live)

    def _deliver_progress(self, fields: Dict[str, Any], guarded: Guarded) -> None:
        transfer_id = fields.get("transfer_id", "")
        percent = int(fields.get("completion_percentage", 0.0))
        status = FileTransferStatus(fields.get("status", 0))
        guarded("file progress", self.file_progress, transfer_id, percent, status.name)
        for watch in self._snapshot():
            if watch.transfer_id == transfer_id:
                watch.wake()

    def _deliver_shown(self, fields: Dict[str, Any], guarded: Guarded) -> None:
        directory = fields.get("kind") == "directory"
        guarded(
            "directory request" if directory else "file request",
            self.directory_request if directory else self.file_request,
            fields.get("peer_id", ""),
            fields.get("transfer_id", ""),
            fields.get("remote_path", ""),
            fields.get("name", ""),
        )

    def _deliver_files(
        self, fields: Dict[str, Any], guarded: Guarded, live: Callable[[], bool]
    ) -> None:
        files = fields.get("files")
        done = fields.get("first", 0)
        for path in files if isinstance(files, list) else ():
            done += 1
            if live():
                guarded(
                    "directory progress",
                    self.directory_progress,
                    fields.get("transfer_id", ""),
                    done,
                    fields.get("total_files", 0),
                    path,
                )
