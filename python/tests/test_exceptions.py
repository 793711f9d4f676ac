import pickle
from typing import Any, Type

import pytest

import librats_py
from librats_py import ErrorCode, RatsError, check_error, exceptions

BY_CODE = [
    (ErrorCode.INVALID_PARAMETER, librats_py.RatsInvalidParameterError),
    (ErrorCode.NOT_RUNNING, librats_py.RatsNotRunningError),
    (ErrorCode.PEER_NOT_FOUND, librats_py.RatsPeerNotFoundError),
    (ErrorCode.JSON_PARSE, librats_py.RatsJsonParseError),
    (ErrorCode.NOT_PERMITTED, librats_py.RatsPermissionError),
    (ErrorCode.NOT_SUPPORTED, librats_py.RatsNotSupportedError),
    (ErrorCode.TIMEOUT, librats_py.RatsTimeoutError),
    (ErrorCode.NO_DAEMON, librats_py.RatsDaemonError),
    (ErrorCode.INVALID_HANDLE, RatsError),
    (ErrorCode.OPERATION_FAILED, RatsError),
    (ErrorCode.MEMORY_ALLOCATION, RatsError),
    (ErrorCode.BUSY, RatsError),
]


def test_text_names_the_code() -> None:
    error = RatsError("Test error", ErrorCode.INVALID_PARAMETER)
    assert str(error) == "Test error (error code: INVALID_PARAMETER)"
    assert str(RatsError("Test error")) == "Test error (error code: OPERATION_FAILED)"
    assert (error.message, error.error_code) == ("Test error", ErrorCode.INVALID_PARAMETER)


@pytest.mark.parametrize("code,cls", BY_CODE)
def test_check_error_raises_the_class_of_the_code(code: ErrorCode, cls: Type[RatsError]) -> None:
    with pytest.raises(RatsError) as caught:
        check_error(code, "Send string", peer_id="ab", detail="because")
    error = caught.value
    assert type(error) is cls
    assert error.message == "Send string failed"
    assert (error.code, error.name) == (int(code), code.name)
    assert (error.operation, error.peer_id, error.detail) == ("Send string", "ab", "because")


def test_success_raises_nothing() -> None:
    check_error(0)
    check_error(ErrorCode.SUCCESS, "x")


def test_an_unknown_code_is_a_plain_error() -> None:
    with pytest.raises(RatsError) as caught:
        check_error(-99, "Start")
    assert type(caught.value) is RatsError
    assert caught.value.code == -99
    assert str(caught.value) == "Start failed (error code: UNKNOWN(-99))"


@pytest.mark.parametrize(
    "cls,base",
    [
        (librats_py.RatsConnectionError, ConnectionError),
        (librats_py.RatsDaemonError, ConnectionError),
        (librats_py.RatsTimeoutError, TimeoutError),
        (librats_py.RatsPermissionError, PermissionError),
        (librats_py.RatsInvalidParameterError, ValueError),
        (librats_py.RatsJsonParseError, ValueError),
        (librats_py.RatsPeerNotFoundError, LookupError),
    ],
)
def test_built_in_classes_catch_ours(cls: Type[Any], base: Type[Exception]) -> None:
    with pytest.raises(base) as caught:
        raise cls("Connect failed", peer_id="ab")
    assert isinstance(caught.value, RatsError)
    assert str(caught.value).startswith("Connect failed (error code: ")


@pytest.mark.parametrize("name", [name for name in exceptions.__all__ if name.endswith("Error")])
def test_every_class_has_a_default_message_and_survives_pickle(name: str) -> None:
    cls = getattr(exceptions, name)
    assert getattr(librats_py, name) is cls
    error = cls("text") if cls is RatsError else cls()
    assert error.message
    error.detail, error.peer_id = "why", "ab"
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is cls
    assert (str(again), again.detail, again.peer_id) == (str(error), "why", "ab")
