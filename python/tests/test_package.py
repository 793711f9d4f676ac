import ast
import importlib
import inspect
import logging
import subprocess
import sys
import typing
from pathlib import Path
from typing import Iterator, List

import pytest

import librats_py
from librats_py import RatsClient, callbacks

PACKAGE = Path(librats_py.__file__).resolve().parent
EXAMPLES = PACKAGE.parent / "examples"
KINDS = (
    "Connection String Binary Json Disconnect PeerDiscovered Message FileProgress FileRequest "
    "DirectoryRequest DirectoryProgress TopicMessage TopicJsonMessage TopicPeerJoined TopicPeerLeft"
).split()


def sources() -> List[Path]:
    return sorted(PACKAGE.glob("*.py"))


def test_nothing_prints() -> None:
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", "{}:{}".format(path.name, node.lineno)


def test_the_logger_is_silent_by_default() -> None:
    logger = logging.getLogger("librats_py")
    assert any(isinstance(handler, logging.NullHandler) for handler in logger.handlers)
    code = "import logging, librats_py; logging.getLogger('librats_py').error('x')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=str(PACKAGE.parent),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=True,
    )
    assert done.stdout == b""


def test_all_names_of_v1_are_there() -> None:
    names = (
        "RatsClient RatsError ErrorCode ConnectionStrategy MessageDataType FileTransferStatus "
        "LogLevel NatType VersionInfo LibratsNotFoundError RatsConnectionError RatsDaemonError "
        "RatsInvalidParameterError RatsJsonParseError RatsNotRunningError RatsNotSupportedError "
        "RatsPeerNotFoundError RatsPermissionError RatsTimeoutError check_error "
        "__version__ __author__ __license__"
    ).split()
    names += [kind + "Callback" for kind in KINDS] + [kind + "CallbackType" for kind in KINDS]
    for name in names:
        assert name in librats_py.__all__, name
    for name in librats_py.__all__:
        assert hasattr(librats_py, name), name
    assert {name + "Callback" for name in KINDS} <= set(callbacks.__all__)


def test_modules_of_v1_are_there() -> None:
    for module, name in [
        ("core", "RatsClient"),
        ("ctypes_wrapper", "get_librats"),
        ("ctypes_wrapper", "find_librats_library"),
        ("ctypes_wrapper", "LibratsCtypes"),
        ("exceptions", "check_error"),
        ("enums", "RatsError"),
        ("callbacks", "ConnectionCallbackType"),
    ]:
        assert hasattr(importlib.import_module("librats_py." + module), name)
    assert (PACKAGE / "py.typed").exists()


def public_methods() -> Iterator[typing.Tuple[str, typing.Any]]:
    for name, member in inspect.getmembers(RatsClient, inspect.isfunction):
        if not name.startswith("_"):
            yield name, member


def test_every_method_is_typed_and_documented() -> None:
    count = 0
    for name, method in public_methods():
        count += 1
        hints = typing.get_type_hints(method)
        assert "return" in hints, name
        for parameter in inspect.signature(method).parameters:
            assert parameter == "self" or parameter in hints, name
        assert method.__doc__, name
    assert count >= 60


@pytest.mark.parametrize("example", [path.name for path in sorted(EXAMPLES.glob("*.py"))])
def test_examples_import_and_are_short(example: str) -> None:
    text = (EXAMPLES / example).read_text()
    assert len(text.splitlines()) <= 40
    code = "import runpy; runpy.run_path({!r}, run_name='example')".format(str(EXAMPLES / example))
    subprocess.run([sys.executable, "-c", code], cwd=str(PACKAGE.parent), timeout=60, check=True)


def test_the_package_version_is_that_of_pyproject() -> None:
    text = (PACKAGE.parent / "pyproject.toml").read_text()
    assert '\nversion = "{}"\n'.format(librats_py.__version__) in text
