import ctypes
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Dict, List

import pytest

import librats_py
from librats_py import callbacks, ctypes_wrapper, enums, exceptions
from librats_py.ctypes_wrapper import (
    SIGNATURES,
    LibratsCtypes,
    LibratsNotFoundError,
    find_librats_library,
    library_candidates,
)

ROOT = Path(__file__).resolve().parents[2]
HEADER = ROOT / "include" / "librats.h"
ERRORS = ROOT / "libratsclient" / "proto" / "errors.c"


def declarations() -> Dict[str, List[str]]:
    """Functions of librats.h: name to result type and argument types."""
    if not HEADER.exists():
        pytest.skip("not a source checkout")
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.S)
    found = {}
    for result, name, arguments in re.findall(
        r"RATS_API\s+([\w\s]*?[\s*]+)(rats_\w+)\s*\(([^;]*)\);", text
    ):
        types = [part.strip() for part in arguments.split(",")]
        types = [re.sub(r"\w+$", "", part).strip() for part in types if part != "void"]
        found[name] = [" ".join(result.split())] + [" ".join(part.split()) for part in types]
    assert len(found) > 60
    return found


# What each type of the header is in the table; the result of a function is looked up first with
# "result:" in front.
TYPES = {
    "result:char *": ctypes.c_void_p,
    "result:const char *": ctypes.c_char_p,
    "result:char **": ctypes_wrapper._strings,
    "result:const void *": ctypes.c_void_p,
    "result:void": None,
    "rats_client_t": ctypes.c_void_p,
    "rats_error_t": ctypes.c_int,
    "rats_connection_strategy_t": ctypes.c_int,
    "int": ctypes.c_int,
    "int *": ctypes_wrapper._int_out,
    "unsigned": ctypes.c_uint,
    "int64_t": ctypes.c_int64,
    "int64_t *": ctypes.POINTER(ctypes.c_int64),
    "uint32_t": ctypes.c_uint32,
    "size_t": ctypes.c_size_t,
    "size_t *": ctypes.POINTER(ctypes.c_size_t),
    "void *": ctypes.c_void_p,
    "const void *": ctypes.c_void_p,
    "const char *": ctypes.c_char_p,
    "char **": None,  # an array to free, or a text to write: by function below
    "const rats_options_t *": ctypes.POINTER(ctypes_wrapper.RatsOptions),
    "rats_connection_cb": callbacks.ConnectionCallbackType,
    "rats_disconnect_cb": callbacks.DisconnectCallbackType,
    "rats_string_cb": callbacks.StringCallbackType,
    "rats_binary_cb": callbacks.BinaryCallbackType,
    "rats_json_cb": callbacks.JsonCallbackType,
    "rats_channel_cb": callbacks.ChannelCallbackType,
    "rats_message_cb": callbacks.MessageCallbackType,
    "rats_topic_message_cb": callbacks.TopicMessageCallbackType,
    "rats_topic_json_message_cb": callbacks.TopicJsonMessageCallbackType,
    "rats_topic_binary_cb": callbacks.TopicBinaryCallbackType,
    "rats_topic_forwarded_cb": callbacks.TopicForwardedCallbackType,
    "rats_topic_peer_joined_cb": callbacks.TopicPeerJoinedCallbackType,
    "rats_topic_peer_left_cb": callbacks.TopicPeerLeftCallbackType,
    "rats_file_request_cb": callbacks.FileRequestCallbackType,
    "rats_directory_request_cb": callbacks.DirectoryRequestCallbackType,
    "rats_file_progress_cb": callbacks.FileProgressCallbackType,
    "rats_directory_progress_cb": callbacks.DirectoryProgressCallbackType,
    "rats_storage_cb": callbacks.StorageCallbackType,
    "rats_daemon_cb": callbacks.DaemonCallbackType,
    "rats_overflow_cb": callbacks.OverflowCallbackType,
    "rats_event_cb": callbacks.EventCallbackType,
}
SPECIAL = {
    ("rats_free_array", "char **"): ctypes_wrapper._strings,
    ("rats_call", "char **"): ctypes.POINTER(ctypes.c_void_p),
    # Freed by address: the pointer itself, not a copy of the text.
    ("rats_string_free", "const char *"): ctypes.c_void_p,
}


def test_every_function_of_the_header_is_in_the_table() -> None:
    assert sorted(declarations()) == sorted(SIGNATURES)


def test_types_are_those_of_the_header() -> None:
    for name, (result, *arguments) in declarations().items():
        wanted_result = TYPES.get("result:" + result, TYPES.get(result, "?"))
        wanted = tuple(SPECIAL.get((name, kind), TYPES.get(kind, kind)) for kind in arguments)
        assert SIGNATURES[name] == (wanted_result, wanted), name


def test_error_codes_and_strategies_are_those_of_the_header() -> None:
    if not HEADER.exists():
        pytest.skip("not a source checkout")
    text = HEADER.read_text()
    codes = {
        name.replace("ERROR_", ""): int(number)
        for name, number in re.findall(r"RATS_(SUCCESS|ERROR_\w+) = (-?\d+)", text)
    }
    assert codes == {code.name: code.value for code in enums.RatsError}
    strategies = dict(re.findall(r"RATS_STRATEGY_(\w+) = (\d+)", text))
    assert {name: int(number) for name, number in strategies.items()} == {
        strategy.name: strategy.value for strategy in enums.ConnectionStrategy
    }


def test_options_are_those_of_the_header() -> None:
    if not HEADER.exists():
        pytest.skip("not a source checkout")
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.S)
    found = re.search(r"typedef struct \{([^}]*)\} rats_options_t;", text)
    assert found is not None
    fields = re.findall(r"([\w ]+?)\s*\*?(\w+)\s*;", found.group(1))
    assert [name for _, name in fields] == [
        field[0] for field in ctypes_wrapper.RatsOptions._fields_
    ]


def test_errors_of_the_protocol_are_those_of_its_table() -> None:
    if not ERRORS.exists():
        pytest.skip("not a source checkout")
    rows = re.findall(r'\{"(\w+)",\s*\w+,\s*(-?\d+),\s*"(\w+)"', ERRORS.read_text())
    assert len(rows) >= 17
    assert {name: (int(code), cls) for name, code, cls in rows} == {
        name: (code, cls.__name__) for name, (code, cls) in exceptions.PROTOCOL_ERRORS.items()
    }


# --- where the library is looked for ------------------------------------------------------------


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the wrapper in an otherwise empty tree: TMP/python/librats_py, cwd TMP/cwd."""
    package = tmp_path / "python" / "librats_py"
    package.mkdir(parents=True)
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.delenv("LIBRATS_LIBRARY", raising=False)
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    monkeypatch.setattr(ctypes_wrapper, "__file__", str(package / "ctypes_wrapper.py"))
    monkeypatch.setattr(ctypes_wrapper, "_SYSTEM_DIRECTORIES", (str(tmp_path / "usr-lib"),))
    monkeypatch.setattr(ctypes_wrapper, "_SONAME", "librats-for-test.so.1")
    return tmp_path


def compile_library(path: Path, *functions: str) -> str:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    path.parent.mkdir(parents=True, exist_ok=True)
    source = path.parent / "source.c"
    source.write_text("".join("int {}(void) {{ return 0; }}\n".format(f) for f in functions))
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", str(path), str(source)], check=True, timeout=60
    )
    return str(path)


def test_places_are_tried_in_order(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIBRATS_LIBRARY", "/explicit/librats.so")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/one::/two")
    (places / "build").mkdir()
    (places / "python" / "build-debug").mkdir()
    candidates = library_candidates()
    order = [
        "/explicit/librats.so",
        str(places / "python" / "librats_py" / "librats.so"),
        str(places / "python" / "build-debug" / "librats.so"),
        str(places / "build" / "librats.so"),
        str(places / "build" / "libratsclient" / "librats.so.1"),
        "/one/librats.so",
        "/two/librats.so.1",
        "librats-for-test.so.1",
        str(places / "usr-lib" / "librats.so"),
        "./librats.so",
        "../build/librats.so",
        "../../../build/librats.so.1",
    ]
    positions = [candidates.index(path) for path in order]
    assert positions == sorted(positions)
    assert positions[-1] == len(candidates) - 1
    assert len(candidates) == len(set(candidates))


def test_a_library_without_the_marker_is_passed_over(places: Path) -> None:
    other = compile_library(places / "python" / "librats_py" / "librats.so", "rats_create")
    ours = compile_library(places / "build" / "librats.so.1", "rats_create", "rats_create_at")
    assert find_librats_library() == ours
    os.remove(ours)
    with pytest.raises(LibratsNotFoundError) as caught:
        find_librats_library()
    assert other + ": does not export rats_create_at" in str(caught.value)


def test_the_error_lists_every_place(places: Path) -> None:
    broken = places / "python" / "librats_py" / "librats.so.1"
    broken.write_text("not a library")
    with pytest.raises(ImportError) as caught:
        find_librats_library()
    text = str(caught.value)
    for path in library_candidates():
        assert "  {}: ".format(path) in text
    assert "LIBRATS_LIBRARY" in text
    assert "no such file" in text


def test_an_explicit_library_that_fails_is_mentioned(
    places: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ours = compile_library(places / "build" / "librats.so", "rats_create_at")
    monkeypatch.setenv("LIBRATS_LIBRARY", "missing.so")
    assert find_librats_library() == ours
    assert "LIBRATS_LIBRARY could not be used" in caplog.text


def test_a_library_that_lacks_functions_is_named(places: Path) -> None:
    ours = compile_library(places / "build" / "librats.so", "rats_create_at")
    with pytest.raises(LibratsNotFoundError, match="older than this package"):
        LibratsCtypes()
    with pytest.raises(LibratsNotFoundError, match="older than this package"):
        LibratsCtypes(ours)


def test_making_a_client_without_a_library_tells_the_places(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes_wrapper, "_librats", None)
    with pytest.raises(LibratsNotFoundError):
        librats_py.RatsClient()
