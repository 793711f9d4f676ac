"""Methods of ``RatsClient`` about the C library in this process: its log and its version."""

from ctypes import byref, c_int
from typing import Union

from .base import ClientBase
from .convert import encode, int32
from .ctypes_wrapper import get_librats
from .enums import LogLevel, VersionInfo
from .exceptions import RatsInvalidParameterError


class ProcessMethods(ClientBase):
    """The log settings belong to the process, whatever client they are set through."""

    # --- log of the C library in this process -----------------------------------------------

    @staticmethod
    def set_logging_enabled(enabled: bool) -> None:
        """Switch the library's log file; nothing is written before a path is set."""
        get_librats().lib.rats_set_logging_enabled(int(bool(enabled)))

    @staticmethod
    def set_log_level(level: Union[int, str]) -> None:
        """Set the level of the library's own messages: a ``LogLevel`` or its name."""
        name = level if isinstance(level, str) else LogLevel(level).name
        get_librats().lib.rats_set_log_level(encode(name, "level"))

    def set_log_file_path(self, file_path: str) -> None:
        """Set the library's log file; missing directories are created."""
        self._session.call("rats_set_log_file_path", encode(file_path, "file_path"))

    def get_log_file_path(self) -> str:
        """The library's log file, or ``""``."""
        return self._session.text("rats_get_log_file_path")

    def set_log_colors_enabled(self, enabled: bool) -> None:
        """Colours of the library's messages on a terminal."""
        self._session.call("rats_set_log_colors_enabled", int(bool(enabled)))

    def is_log_colors_enabled(self) -> bool:
        """Whether the library colours its messages on a terminal."""
        return bool(self._session.call("rats_is_log_colors_enabled") == 1)

    def set_log_timestamps_enabled(self, enabled: bool) -> None:
        """Times in the library's messages on the console; the file always has them."""
        self._session.call("rats_set_log_timestamps_enabled", int(bool(enabled)))

    def is_log_timestamps_enabled(self) -> bool:
        """Whether the library's messages on the console carry the time."""
        return bool(self._session.call("rats_is_log_timestamps_enabled") == 1)

    def set_log_rotation_size(self, max_bytes: int) -> None:
        """Size in bytes at which the log file is rotated; 0 is never."""
        if max_bytes < 0:
            raise RatsInvalidParameterError("max_bytes is negative")
        self._session.call("rats_set_log_rotation_size", max_bytes)

    def set_log_retention_count(self, count: int) -> None:
        """How many rotated log files are kept."""
        self._session.call("rats_set_log_retention_count", int32(count, "count"))

    def clear_log_file(self) -> None:
        """Empty the library's log file."""
        self._session.call("rats_clear_log_file")

    # --- version of the C library ---------------------------------------------------------

    @staticmethod
    def get_version_string() -> str:
        """Version of the C library, four numbers; the daemon's is in ``get_instance_info``."""
        version: bytes = get_librats().lib.rats_get_version_string()
        return version.decode("utf-8", "replace")

    @staticmethod
    def get_version() -> VersionInfo:
        """Version of the C library as numbers."""
        numbers = [c_int() for _ in range(4)]
        get_librats().lib.rats_get_version(*(byref(number) for number in numbers))
        return VersionInfo(*(number.value for number in numbers))

    @staticmethod
    def get_git_describe() -> str:
        """What the C library was built from."""
        text: bytes = get_librats().lib.rats_get_git_describe()
        return text.decode("utf-8", "replace")

    @staticmethod
    def get_abi() -> int:
        """``major << 16 | minor << 8 | patch`` of the C library."""
        return int(get_librats().lib.rats_get_abi())
