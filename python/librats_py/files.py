"""Methods of ``RatsClient`` for files and directories."""

import os
import threading
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Optional, Tuple, Union

from .base import ClientBase
from .callbacks import (
    DirectoryProgressCallback,
    DirectoryProgressCallbackType,
    DirectoryRequestCallback,
    DirectoryRequestCallbackType,
    FileProgressCallback,
    FileRequestCallback,
    FileRequestCallbackType,
)
from .convert import checked, encode, encode_optional, encode_path, parse_list
from .enums import RatsError as ErrorCode
from .exceptions import RatsError, RatsNotRunningError, RatsTimeoutError
from .session import interruptible
from .transfers import ENDED, Watch

__all__ = ["FileMethods", "Path"]

if TYPE_CHECKING:
    Path = Union[str, bytes, "os.PathLike[Any]"]
else:
    Path = Union[str, bytes, os.PathLike]

# In batch mode the library calls nothing; it only notes what is wanted.
_NO_FILES = FileRequestCallbackType(lambda *arguments: None)
_NO_DIRECTORIES = DirectoryRequestCallbackType(lambda *arguments: None)
_NO_PROGRESS = DirectoryProgressCallbackType(lambda *arguments: None)


class FileMethods(ClientBase):
    """Send, ask for and take files and directories.

    A transfer has an id and belongs to this client; it ends with it. Files are opened with the
    rights of this process, and what is received is put in place whole, after its hash was verified.
    """

    # --- beginning --------------------------------------------------------------------------

    def send_file(
        self, peer_id: str, file_path: Path, remote_filename: Optional[str] = None
    ) -> str:
        """Offer a file to a peer.

        Args:
            peer_id: a connected peer
            file_path: regular file, also an empty one
            remote_filename: what the peer is shown; the file's own name by default

        Returns:
            str: id of the transfer; ``set_file_progress_callback`` and ``transfer_progress`` tell
            what becomes of it

        Raises:
            RatsPeerNotFoundError: that peer is not connected
            RatsInvalidParameterError: not a regular file
            RatsNotRunningError: not started, or the daemon is gone
            RatsError: no such file, or it cannot be read
        """
        return self._begin(
            "Send file",
            "rats_send_file",
            peer_id,
            encode_path(file_path, "file_path"),
            encode_optional(remote_filename, "remote_filename"),
        )

    def send_directory(
        self,
        peer_id: str,
        directory_path: Path,
        remote_directory_name: Optional[str] = None,
        recursive: bool = True,
    ) -> str:
        """Offer a directory to a peer: its files and, unless ``recursive`` is false, those below.

        Links in it are not followed; pipes, sockets and devices are left out.

        Returns:
            str: id of the transfer

        Raises:
            as ``send_file``
        """
        return self._begin(
            "Send directory",
            "rats_send_directory",
            peer_id,
            encode_path(directory_path, "directory_path"),
            encode_optional(remote_directory_name, "remote_directory_name"),
            int(bool(recursive)),
        )

    def request_file(self, peer_id: str, remote_file_path: str, local_path: Path) -> str:
        """Ask a peer for a file; what it sends in answer is put at ``local_path``.

        Returns:
            str: id of the transfer

        Raises:
            RatsNotSupportedError: the peer does not understand it
            RatsPeerNotFoundError: that peer is not connected
            RatsNotRunningError: not started, or the daemon is gone
            RatsError: ``local_path`` cannot be written
        """
        return self._begin(
            "Request file",
            "rats_request_file",
            peer_id,
            encode(remote_file_path, "remote_file_path"),
            encode_path(local_path, "local_path"),
        )

    def request_directory(
        self,
        peer_id: str,
        remote_directory_path: str,
        local_directory_path: Path,
        recursive: bool = True,
    ) -> str:
        """Ask a peer for a directory; its files are put below ``local_directory_path``.

        Returns:
            str: id of the transfer

        Raises:
            as ``request_file``
        """
        return self._begin(
            "Request directory",
            "rats_request_directory",
            peer_id,
            encode(remote_directory_path, "remote_directory_path"),
            encode_path(local_directory_path, "local_directory_path"),
            int(bool(recursive)),
        )

    def _begin(self, operation: str, name: str, peer_id: str, *arguments: Any) -> str:
        peer = encode(peer_id, "peer_id")
        transfer_id, error = interruptible(
            self._take_id, operation, name, peer_id, (peer,) + arguments, discard=self._give_up
        )
        if error is not None:
            self._session.remember(error.code, error.detail)
            raise error
        return transfer_id

    def _take_id(
        self, operation: str, name: str, peer_id: str, arguments: Tuple[Any, ...]
    ) -> Tuple[str, Optional[RatsError]]:
        session = self._session
        handle = session.handle()
        address = getattr(session.lib, name)(handle, *arguments)
        if not address:
            return "", session.error(session.last_error()[1], operation, peer_id)
        return self._library.take_text(address), None

    def _give_up(self, begun: Tuple[str, Optional[RatsError]]) -> None:
        """Nobody waited for that id: KeyboardInterrupt was faster."""
        if begun[0]:
            try:
                self._session.call("rats_cancel_file_transfer", begun[0].encode("ascii"))
            except RatsError:
                pass  # closed meanwhile, and the transfer ended with it

    # --- answering --------------------------------------------------------------------------

    def accept_file_transfer(self, transfer_id: str, local_path: Path) -> None:
        """Take an offered file into ``local_path``, or serve ``local_path`` to who asked for one.

        Raises:
            RatsError: not shown to this client, taken by another, answered or ended before, or
                ``local_path`` cannot be opened
            RatsNotRunningError: not started, or the daemon is gone
        """
        self._answer(
            "Accept file transfer",
            "rats_accept_file_transfer",
            transfer_id,
            encode_path(local_path, "local_path"),
        )

    def accept_directory_transfer(self, transfer_id: str, local_path: Path) -> None:
        """The same for a directory.

        Raises:
            as ``accept_file_transfer``
        """
        self._answer(
            "Accept directory transfer",
            "rats_accept_directory_transfer",
            transfer_id,
            encode_path(local_path, "local_path"),
        )

    def reject_file_transfer(self, transfer_id: str, reason: str = "") -> None:
        """Leave an offer or request to others; the peer is told ``reason`` when nobody is left.

        Raises:
            RatsError: not shown to this client, or answered or ended before
            RatsNotRunningError: not started, or the daemon is gone
        """
        self._answer(
            "Reject file transfer",
            "rats_reject_file_transfer",
            transfer_id,
            encode(reason, "reason"),
        )

    def reject_directory_transfer(self, transfer_id: str, reason: str = "") -> None:
        """The same for a directory.

        Raises:
            as ``reject_file_transfer``
        """
        self._answer(
            "Reject directory transfer",
            "rats_reject_directory_transfer",
            transfer_id,
            encode(reason, "reason"),
        )

    def cancel_file_transfer(self, transfer_id: str) -> None:
        """End a transfer of this client, of a file or a directory, whatever its state.

        Raises:
            RatsError: this client has no such transfer, it has ended, or all of it has arrived and
                is being put in place
            RatsNotRunningError: not started, or the daemon is gone
        """
        self._answer("Cancel file transfer", "rats_cancel_file_transfer", transfer_id)

    def pause_file_transfer(self, transfer_id: str) -> None:
        """Hold a transfer that runs, of a file or a directory.

        Raises:
            RatsError: this client has no such transfer, or it does not run
            RatsNotRunningError: not started, or the daemon is gone
        """
        self._answer("Pause file transfer", "rats_pause_file_transfer", transfer_id)

    def resume_file_transfer(self, transfer_id: str) -> None:
        """Let a paused transfer go on.

        Raises:
            RatsError: this client has no such transfer, or it is not paused
            RatsNotRunningError: not started, or the daemon is gone
        """
        self._answer("Resume file transfer", "rats_resume_file_transfer", transfer_id)

    def _answer(self, operation: str, name: str, transfer_id: str, *arguments: bytes) -> None:
        self._session.call_checked(operation, name, encode(transfer_id, "transfer_id"), *arguments)

    # --- asking -----------------------------------------------------------------------------

    def get_file_transfer_progress(self, transfer_id: str) -> Dict[str, Any]:
        """How far a transfer is; those that ended are remembered for ten minutes.

        Returns:
            dict: ``status`` (a ``FileTransferStatus``), ``bytes_transferred``, ``total_bytes``,
            ``completion_percentage``, ``files_completed``, ``total_files``, ``error`` and more;
            empty when there is no such transfer
        """
        return self._document(
            "rats_get_file_transfer_progress_json", encode(transfer_id, "transfer_id")
        )

    def get_file_transfers(self) -> List[Dict[str, Any]]:
        """All transfers that ``get_file_transfer_progress`` knows, oldest first."""
        return parse_list(self._session.text("rats_get_file_transfers_json"))

    def get_file_transfer_statistics(self) -> Dict[str, Any]:
        """Sums over this client's transfers; empty when the daemon is gone."""
        return self._document("rats_get_file_transfer_statistics_json")

    def transfer_progress(
        self, transfer_id: str, timeout: Optional[float] = None
    ) -> Iterator[Dict[str, Any]]:
        """Follow a transfer: what ``get_file_transfer_progress`` gives, now and whenever that is
        news; the last one has ended. Who is slow misses steps, never the end.

        Args:
            transfer_id: of this client
            timeout: seconds to wait for the next news; None is for ever

        Raises:
            RatsTimeoutError: no news in that time
            RatsError: there is no such transfer
            RatsNotRunningError: the client was stopped
        """
        news = threading.Event()
        watch = self._watch(transfer_id, news.set)
        try:
            while True:
                progress = self._progress(transfer_id)
                yield progress
                if progress["status"] in ENDED:
                    return
                if not news.wait(timeout):
                    raise RatsTimeoutError("Transfer progress failed")
                news.clear()
        finally:
            self._dispatcher.transfers.remove(watch)

    def _watch(self, transfer_id: str, wake: Callable[[], None]) -> Watch:
        watch = Watch(transfer_id, wake)
        self._dispatcher.transfers.add(watch)
        return watch

    def _progress(self, transfer_id: str) -> Dict[str, Any]:
        """For those who follow a transfer."""
        progress = self.get_file_transfer_progress(transfer_id)
        if not progress:
            raise RatsError("Transfer progress failed", ErrorCode.NOT_FOUND)
        if progress["status"] not in ENDED and not self._dispatcher.is_started():
            raise RatsNotRunningError("Client is stopped")
        return progress

    # --- sharing ----------------------------------------------------------------------------

    def add_share_root(self, directory: Path) -> None:
        """Let peers have what is below a directory, without asking anybody.

        Raises:
            RatsInvalidParameterError: not a directory
            RatsError: there is none, or it cannot be opened
            RatsNotSupportedError: the instance has file transfers switched off
        """
        self._session.call_checked(
            "Add share root", "rats_add_share_root", encode_path(directory, "directory")
        )

    def remove_share_root(self, directory: Path) -> None:
        """Share a directory no longer; transfers that run are not ended.

        Raises:
            RatsError: ``NOT_FOUND``, it is not shared
        """
        self._session.call_checked(
            "Remove share root", "rats_remove_share_root", encode_path(directory, "directory")
        )

    # --- callbacks --------------------------------------------------------------------------

    def set_file_request_callback(self, callback: Optional[FileRequestCallback]) -> None:
        """``callback(peer_id, transfer_id, remote_path, filename)`` when a peer offers a file
        (``remote_path`` is ``""``) or asks for one (``filename`` is ``""``).

        Nothing is received or sent before ``accept_file_transfer``, which may be called later.

        Raises:
            RatsNotSupportedError: the instance has file transfers switched off
        """
        self._check_open()
        self._dispatcher.transfers.file_request = checked(callback)
        nothing = FileRequestCallbackType(0) if callback is None else _NO_FILES
        self._tell("rats_set_file_request_callback", nothing)

    def set_directory_request_callback(self, callback: Optional[DirectoryRequestCallback]) -> None:
        """The same for directories: ``callback(peer_id, transfer_id, remote_path, name)``.

        Raises:
            as ``set_file_request_callback``
        """
        self._check_open()
        self._dispatcher.transfers.directory_request = checked(callback)
        nothing = DirectoryRequestCallbackType(0) if callback is None else _NO_DIRECTORIES
        self._tell("rats_set_directory_request_callback", nothing)

    def set_file_progress_callback(self, callback: Optional[FileProgressCallback]) -> None:
        """``callback(transfer_id, percent, status)`` when a transfer, also of a directory, gets on.

        ``status`` is the name of a ``FileTransferStatus``. Every change is told, and progress at
        most every 100 ms; COMPLETED, FAILED or CANCELLED comes exactly once, as the last.
        """
        self._check_open()
        self._dispatcher.transfers.file_progress = checked(callback)

    def set_directory_progress_callback(
        self, callback: Optional[DirectoryProgressCallback]
    ) -> None:
        """``callback(transfer_id, files_completed, total_files, current_file)`` for each file of a
        directory that is whole, in order; ``current_file`` is its path below the directory.
        """
        self._check_open()
        self._dispatcher.transfers.directory_progress = checked(callback)
        nothing = DirectoryProgressCallbackType(0) if callback is None else _NO_PROGRESS
        self._tell("rats_set_directory_progress_callback", nothing)

    def _tell(self, name: str, nothing: Any) -> None:
        error = interruptible(self._tell_library, name, nothing)
        if error is not None:
            self._session.remember(error.code, error.detail)
            raise error

    def _tell_library(self, name: str, nothing: Any) -> Optional[RatsError]:
        session = self._session
        handle = session.handle()
        getattr(session.lib, name)(handle, nothing, None)
        code = session.last_error()[1]
        return None if code == ErrorCode.SUCCESS else session.error(code, "Set callback")
