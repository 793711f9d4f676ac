"""Life of one C handle: calls in progress, the dispatch thread, closing, forking.

The rule that is easy to break: ``rats_destroy`` runs exactly once, and after the dispatch thread
has taken its last batch, so that no callback runs when ``close`` returns. ``close`` only marks the
session and wakes that thread. Calls of other threads need no such care: the library ends those that
wait, and tells a handle that was destroyed from every other.

A session never refers to its ``RatsClient``, so that a client nobody holds can be collected while
the dispatch thread waits.
"""

import atexit
import ctypes
import logging
import os
import threading
import weakref
from typing import Any, Callable, List, Optional, Tuple, TypeVar

from .ctypes_wrapper import LibratsCtypes
from .dispatch import Dispatcher
from .enums import RatsError as ErrorCode
from .exceptions import RatsDaemonError, RatsError, RatsNotRunningError, error_for

__all__ = ["Session", "interruptible"]

_log = logging.getLogger("librats_py")

_T = TypeVar("_T")

# How long the end of the process waits for a session's: the library says goodbye in 2 s at most.
_EXIT_SECONDS = 2.5


def interruptible(
    function: Callable[..., _T], *arguments: Any, discard: Optional[Callable[[_T], None]] = None
) -> _T:
    """Call a C function that may block so that Ctrl-C ends the wait at once.

    Signals reach Python code on the main thread only, and only between two steps of the
    interpreter, so there the C call runs on a helper thread. After KeyboardInterrupt that thread
    finishes the call by itself; its result goes to ``discard``.
    """
    if threading.current_thread() is not threading.main_thread():
        return function(*arguments)
    results: List[_T] = []
    errors: List[BaseException] = []
    done = threading.Event()
    abandoned = threading.Event()

    def drop() -> None:
        # pop() decides which of the two threads drops the result.
        try:
            result = results.pop()
        except IndexError:
            return
        if discard is not None:
            discard(result)

    def work() -> None:
        try:
            results.append(function(*arguments))
        except BaseException as error:
            errors.append(error)
        done.set()
        if abandoned.is_set():
            drop()

    thread = threading.Thread(target=work, name="librats-call", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the interpreter is shutting down
        return function(*arguments)
    try:
        done.wait()
        thread.join()
    except BaseException:
        abandoned.set()
        if done.is_set():
            drop()
        raise
    if errors:
        try:
            raise errors[0]
        finally:
            errors.clear()
    return results[0]


class Session:
    """One handle of the library and the thread that takes its batches."""

    def __init__(self, library: LibratsCtypes, handle: int, dispatcher: Dispatcher) -> None:
        self.library = library
        self.dispatcher = dispatcher
        self.lib = library.lib
        self._handle: Optional[int] = handle
        self._address = handle
        self._lock = threading.RLock()  # a collection may run close() anywhere
        self._busy = threading.Lock()  # held while a batch is being processed
        self._errors = threading.local()
        self._forked = False
        self._destroyed = False
        self._loop_ended = False
        self._thread = threading.Thread(target=self._run, name="librats-dispatch", daemon=True)
        _sessions.add(self)
        self._thread.start()

    # --- calls ----------------------------------------------------------------------------

    def handle(self) -> int:
        """What C functions take.

        Raises:
            RatsNotRunningError: the client is closed
            RatsDaemonError: the client was made before this process was forked
        """
        handle = self._handle
        if handle is None:
            raise self.unusable()
        return handle

    def unusable(self) -> RatsError:
        if self._forked:
            return RatsDaemonError(
                "Client was created before fork() and belongs to the parent process; "
                "create a new one in this process"
            )
        return RatsNotRunningError("Client is closed")

    def call(self, name: str, *arguments: Any) -> Any:
        """Result of a C function that does not block."""
        handle = self.handle()
        return getattr(self.lib, name)(handle, *arguments)

    def call_blocking(self, name: str, *arguments: Any) -> Any:
        """Result of a C function that may wait for the daemon."""
        return interruptible(self.call, name, *arguments)

    def call_checked(
        self, operation: str, name: str, *arguments: Any, peer_id: Optional[str] = None
    ) -> None:
        """Call a C function that returns a code and may wait; raise what the code stands for."""
        error = interruptible(self._call_for_error, operation, name, arguments, peer_id)
        if error is not None:
            self.remember(error.code, error.detail)
            raise error

    def _call_for_error(
        self, operation: str, name: str, arguments: Tuple[Any, ...], peer_id: Optional[str]
    ) -> Optional[RatsError]:
        handle = self.handle()
        code: int = getattr(self.lib, name)(handle, *arguments)
        if code == 0:
            return None
        return self.error(code, operation, peer_id)

    def text(self, name: str, *arguments: Any) -> str:
        """A ``char *`` result; ``""`` for NULL."""
        handle = self.handle()
        text = self.library.take_text(getattr(self.lib, name)(handle, *arguments))
        if text is None:
            self.remember_library()
            return ""
        return text

    def error(self, code: int, operation: str, peer_id: Optional[str] = None) -> RatsError:
        """The exception for a failed call of this thread, with the library's own words.

        The functions of v1 return few codes; where the library knows a finer one, that one counts.
        """
        if self._handle is None:
            return self.unusable()  # closed meanwhile, and so the call was ended
        detail, fine = self.last_error()
        if code == ErrorCode.OPERATION_FAILED and fine < ErrorCode.JSON_PARSE:
            code = fine
        return error_for(code, operation, peer_id=peer_id, detail=detail)

    def failed(self, code: int, operation: str, peer_id: Optional[str] = None) -> RatsError:
        """``error`` for a call made on the user's own thread: remembered as well."""
        error = self.error(code, operation, peer_id)
        self.remember(error.code, error.detail)
        return error

    def last_error(self) -> Tuple[str, int]:
        """The library's sentence and code for the last call of this thread."""
        message: Optional[bytes] = self.lib.rats_last_error_message(self._address)
        detail = message.decode("utf-8", "replace") if message else ""
        return detail, self.lib.rats_last_error(self._address)

    def remember(self, code: int, detail: str) -> None:
        """Keep for last_error(): the library's own record may belong to a helper thread."""
        self._errors.last = ErrorCode(code), detail

    def remember_library(self) -> None:
        detail, code = self.last_error()
        self.remember(code, detail)

    def remembered(self) -> Tuple[ErrorCode, str]:
        last: Tuple[ErrorCode, str] = getattr(self._errors, "last", (ErrorCode.SUCCESS, ""))
        return last

    # --- the dispatch thread --------------------------------------------------------------

    def on_dispatch_thread(self) -> bool:
        return threading.current_thread() is self._thread

    def _run(self) -> None:
        lib = self.lib
        size = ctypes.c_size_t()
        size_out = ctypes.byref(size)
        take, release = lib.rats_take_batch, lib.rats_release_batch
        process = self.dispatcher.process_memory
        handle = self._address
        busy = self._busy
        try:
            while self._handle is not None:
                batch = take(handle, -1, size_out)
                if not batch:
                    continue
                with busy:
                    try:
                        process(batch, size.value)
                    finally:
                        release(handle, batch)
        except BaseException as error:
            _log.critical("dispatch thread ends: %s", error, exc_info=error)
        finally:
            self._loop_ended = True
            self._destroy_if_over()

    def wait_for_callbacks(self) -> None:
        """Return when no callback is running; at once on the dispatch thread itself."""
        if not self.on_dispatch_thread():
            with self._busy:
                pass

    # --- the end --------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        return self._handle is None

    def close(self, wait: bool = True) -> None:
        """End the session; repeated calls are harmless, also from several threads.

        With ``wait`` the handle is destroyed when this returns, except on the dispatch thread
        (then after its callback has returned). Calls of other threads end with
        ``RatsNotRunningError``.
        """
        with self._lock:
            if self._handle is not None:
                self._handle = None
                self.lib.rats_end_wait(self._address)
        if self._forked:
            return
        self.dispatcher.stop()
        self.dispatcher.end()
        self._destroy_if_over()
        if wait:
            self.wait_destroyed(None)

    def wait_destroyed(self, seconds: Optional[float]) -> None:
        """At once on the dispatch thread itself."""
        if not self.on_dispatch_thread():
            self._thread.join(seconds)

    def _destroy_if_over(self) -> None:
        with self._lock:
            if self._handle is not None or not self._loop_ended or self._destroyed:
                return
            self._destroyed = True
        _sessions.discard(self)
        self.lib.rats_destroy(self._address)

    def _after_fork_in_child(self) -> None:
        """The dispatch thread and those inside calls exist in the parent only."""
        self._forked = True
        self._handle = None
        self._lock = threading.RLock()
        self._loop_ended = True
        self._destroyed = True
        # In a child the library only closes its descriptors.
        self.lib.rats_destroy(self._address)


_sessions: "weakref.WeakSet[Session]" = weakref.WeakSet()


def _close_all_at_exit() -> None:
    for session in list(_sessions):
        session.close(wait=False)
    for session in list(_sessions):
        session.wait_destroyed(_EXIT_SECONDS)


def _forget_all_after_fork() -> None:
    for session in list(_sessions):
        session._after_fork_in_child()
    _sessions.clear()


atexit.register(_close_all_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all_after_fork)
