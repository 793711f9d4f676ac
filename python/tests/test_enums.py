import copy
import pickle
from enum import IntEnum

import pytest

from librats_py import (
    ConnectionStrategy,
    ErrorCode,
    FileTransferStatus,
    LogLevel,
    MessageDataType,
    NatType,
    Transport,
    VersionInfo,
    enums,
)

ALL = [ErrorCode, ConnectionStrategy, FileTransferStatus, LogLevel, MessageDataType, NatType, Transport]


def test_the_numbers_are_those_of_v1() -> None:
    assert [code.value for code in list(ErrorCode)[:8]] == [0, -1, -2, -3, -4, -5, -6, -7]
    assert list(ConnectionStrategy) == [0, 1, 2, 3, 4]
    assert [kind.name for kind in MessageDataType] == ["BINARY", "STRING", "JSON"]
    assert [kind.value for kind in MessageDataType] == [1, 2, 3]
    assert FileTransferStatus(7).name == "RESUMING"
    assert [level.name for level in LogLevel] == ["DEBUG", "INFO", "WARN", "ERROR"]
    assert NatType(6).name == "UDP_BLOCKED"
    assert enums.RatsError is ErrorCode


@pytest.mark.parametrize("cls", ALL)
def test_a_number_of_a_newer_daemon_is_accepted(cls: type) -> None:
    assert issubclass(cls, IntEnum)
    unknown = cls(-9999)
    assert unknown == -9999
    assert isinstance(unknown, cls)
    assert unknown.name == "UNKNOWN(-9999)"
    assert len(list(cls)) == len({member.name for member in cls})


def test_text_is_no_number() -> None:
    with pytest.raises(ValueError):
        ErrorCode("x")  # type: ignore[arg-type]


def test_members_survive_pickle() -> None:
    assert pickle.loads(pickle.dumps(ErrorCode.BUSY)) is ErrorCode.BUSY
    assert pickle.loads(pickle.dumps(ErrorCode(-77))) == -77
    assert copy.deepcopy(NatType(99)) == 99


def test_version_prints_as_four_numbers() -> None:
    assert str(VersionInfo(1, 2, 3, 4)) == "1.2.3.4"
    assert VersionInfo(1, 2, 3, 4) > VersionInfo(1, 2, 0, 9)
