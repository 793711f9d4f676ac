"""One table, many readers: the protocol's tables against the header, the symbol map, the bindings,
the command line and the manual (style 4). A fact that is written twice is compared here."""
import json
import os
import re
import subprocess
import sys

import pytest
from daemons import BUILD, RATSCTL, RATSD, ROOT, environment

sys.path.insert(0, os.path.join(ROOT, "python"))

import librats_py  # noqa: E402  (found through the line above)
from librats_py import ctypes_wrapper, enums, exceptions  # noqa: E402

DUMP = os.path.join(ROOT, "tests", "contract", "protocol-1.0.json")
# C functions that Python reaches in another way than by a method that calls them.
NOT_WRAPPED = {
    "rats_create": "rats_create_with does it",
    "rats_create_at": "rats_create_with does it",
    "rats_connect": "rats_connect_with_strategy does it",
    "rats_once_message": "the dispatcher counts, over rats_on_message",
    "rats_batch_fd": "for event loops; the dispatch thread waits in rats_take_batch",
    "rats_error_string": "the exceptions have their own words",
}
UNITS = {"_ms": "millisecond", "_ms_ago": "millisecond", "_seconds": "second", "_bytes": "byte"}


def read(*parts):
    with open(os.path.join(ROOT, *parts), encoding="utf-8") as file:
        return file.read()


def run(*words):
    result = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                            universal_newlines=True, env=environment("/nonexistent"))
    assert result.returncode == 0, "%s: %s" % (words, result.stderr)
    return result.stdout


def man_text(name):
    """A manual page as plain words: roff's escapes undone."""
    text = read("man", name)
    for escape, plain in ((r"\-", "-"), (r"\(hy", "-"), (r"\e", "\\"), (r"\&", "")):
        text = text.replace(escape, plain)
    return re.sub(r"\\f[BIRP]", "", text)


@pytest.fixture(scope="module")
def tables(module_daemon):
    return module_daemon.client().tables


def test_ratsctl_prints_what_the_daemon_describes(shared_daemon, tables):
    done = shared_daemon.ctl("protocol", "describe", "--json")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    printed.pop("schema", None)
    assert printed == tables.document


# --- each row is whole ---

def fields_of(rows, where):
    """Every field row below rows with its path."""
    for row in rows:
        yield "%s.%s" % (where, row["name"]), row
        yield from fields_of(row.get("fields", []), "%s.%s" % (where, row["name"]))


def all_fields(tables):
    for name, row in tables.methods.items():
        yield from fields_of(row["params"], name + " params")
        yield from fields_of(row["result"], name + " result")
    for name, row in tables.events.items():
        yield from fields_of(row["fields"], name)


def test_every_row_has_a_summary(tables):
    for kind in (tables.methods, tables.events):
        for name, row in kind.items():
            assert row["summary"].endswith("."), name
            assert row["since"] == [1, 0], name
    for name, row in tables.errors.items():
        assert row["meaning"].endswith("."), name


def test_names_have_their_form(tables):
    for name in tables.methods:
        assert name == "hello" or re.fullmatch(r"[a-z]+\.[a-z_]+", name), name
    for name in tables.events:
        assert name == "lost" or re.fullmatch(r"[a-z]+\.[a-z_]+", name), name
    for name in tables.errors:
        assert re.fullmatch(r"[a-z_]+", name), name


def test_every_field_has_a_summary_and_says_its_unit(tables):
    faults = []
    for where, row in all_fields(tables):
        if not row["summary"].strip():
            faults.append("%s has no summary" % where)
        for ending, unit in UNITS.items():
            if row["name"].endswith(ending) and row["type"] == "uint" and unit not in row["summary"]:
                faults.append("%s does not say %ss" % (where, unit))
    assert not faults, "\n".join(faults)


def test_optional_parameters_say_what_absence_means(tables):
    faults = [
        where for where, row in all_fields(tables)
        if " params." in where and not row["required"] and not row.get("default")
        and "default" not in row["summary"] and "unless" not in row["summary"]
    ]
    assert not faults, faults


def test_every_error_a_method_names_is_in_the_table(tables):
    for name, row in tables.methods.items():
        for error in row["errors"]:
            assert error in tables.errors, "%s: %s" % (name, error)
        assert {"invalid_parameter", "malformed", "limit", "cancelled"} <= set(row["errors"])
        if row["permission"] == "control":
            assert "not_permitted" in row["errors"], name


# --- the C header ---

def header_functions():
    """{name: (parameter names, comment)} of the functions librats.h declares."""
    functions = {}
    pattern = re.compile(r"/\*\*((?:(?!\*/).)*)\*/\s*RATS_API\s+([^;]*?)\b(rats_\w+)\(([^;]*?)\);",
                         re.S)
    for comment, _, name, parameters in pattern.findall(read("include", "librats.h")):
        names = [re.search(r"(\w+)\s*$", p).group(1) for p in parameters.split(",")
                 if p.strip() != "void"]
        functions[name] = (names, re.sub(r"\n \*", "\n", comment))
    return functions


HEADER = header_functions()
DECLARED = set(re.findall(r"^RATS_API[^;]*?\b(rats_\w+)\(", read("include", "librats.h"), re.M | re.S))


def test_every_declared_function_is_documented():
    assert DECLARED - set(HEADER) == set(), "no comment right above these"
    faults = []
    for name, (parameters, comment) in HEADER.items():
        told = set(re.findall(r"\w+", " ".join(re.findall(r"@param\s+((?:\w+,\s*)*\w+)", comment))))
        faults += ["%s: %s is not explained" % (name, p) for p in parameters if p not in told]
        faults += ["%s: no '%s'" % (name, word) for word in ("Since 1.", "IPC:", "hread-safe")
                   if word not in comment]
    assert not faults, "\n".join(faults)


def ipc_names(comment):
    """What stands behind "IPC:" in a comment, up to its full stop."""
    text = re.search(r"IPC:\s*(.*?)\.(?:\s|$)", comment, re.S).group(1)
    return re.findall(r"[a-z_]+(?:\.[a-z_]+)?", re.sub(r"\([^)]*\)", "", text))


def test_api_of_each_method_is_declared_and_names_it(tables):
    for name, row in tables.methods.items():
        for function in row["api"]:
            assert function in HEADER, "%s: %s is not in librats.h" % (name, function)


def test_ipc_of_each_function_exists(tables):
    faults = []
    for function, (_, comment) in HEADER.items():
        for name in ipc_names(comment):
            if "." in name and name not in tables.methods and name not in tables.events:
                faults.append("%s: IPC names %s" % (function, name))
    assert not faults, faults


def test_callbacks_of_events_are_declared(tables):
    for name, row in tables.events.items():
        if row.get("callback"):
            assert row["callback"] in HEADER, name


# --- the symbol map and the library ---

def test_the_map_exports_what_is_declared():
    exported = set(re.findall(r"\b(rats_\w+);", read("libratsclient", "librats.map")))
    assert exported == DECLARED


def test_the_library_exports_what_is_declared():
    listing = run("nm", "-D", "--defined-only", os.path.join(BUILD, "libratsclient", "librats.so.1"))
    symbols = {line.split()[2].split("@")[0] for line in listing.splitlines()
               if len(line.split()) == 3 and line.split()[1] in "TDBRVW"}
    ours = {s for s in symbols if not s.startswith(("__asan", "__ubsan", "__odr", "_fini", "_init"))}
    assert ours == DECLARED


# --- Python ---

def test_ctypes_knows_every_function_with_its_number_of_arguments():
    assert set(ctypes_wrapper.SIGNATURES) == DECLARED
    for name, (_, arguments) in ctypes_wrapper.SIGNATURES.items():
        assert len(arguments) == len(HEADER[name][0]), name


def test_every_function_is_reached_from_python():
    text = "".join(
        re.sub(r"^SIGNATURES.*?^}", "", read("python", "librats_py", name), flags=re.S | re.M)
        for name in os.listdir(os.path.join(ROOT, "python", "librats_py")) if name.endswith(".py"))
    missing = [name for name in DECLARED if name not in NOT_WRAPPED and name not in text
               and not re.fullmatch("rats_set_.*_callback", name)]
    assert not missing, sorted(missing)
    assert set(NOT_WRAPPED) <= DECLARED


def test_every_callback_can_be_set_from_python():
    """Python takes batches and calls its functions itself, so it calls none of the C setters."""
    for name in DECLARED:
        if re.fullmatch("rats_set_.*_callback", name):
            assert callable(getattr(librats_py.RatsClient, name[len("rats_"):], None)), name


def header_codes():
    """{name without RATS_ERROR_: code}"""
    return {name: int(code) for name, code in re.findall(
        r"\bRATS_(?:ERROR_)?(SUCCESS|(?<=ERROR_)\w+)\s*=\s*(-?\d+)", read("include", "librats.h"))}


def test_error_codes_are_the_same_in_c_and_python():
    codes = header_codes()
    assert codes["SUCCESS"] == 0 and len(codes) >= 15
    assert {name: int(code) for name, code in enums.RatsError.__members__.items()} == codes


def test_each_error_has_a_code_and_an_exception(tables):
    codes = set(header_codes().values())
    for name, row in tables.errors.items():
        assert row["code"] in codes, name
        kind = getattr(exceptions, row["exception"], None)
        assert isinstance(kind, type) and issubclass(kind, exceptions.RatsError), name


def test_python_raises_the_exception_the_table_names(tables):
    for name, row in tables.errors.items():
        raised = exceptions.error_for_name(name, row["code"], "Operation")
        assert type(raised).__name__ == row["exception"], name


# --- ratsctl and the manual ---

def commands():
    """The commands that ratsctl --help lists."""
    text = run(RATSCTL, "--help")
    return set(re.findall(r"^ {2,}([a-z][a-z-]+)\b", text, re.M))


def test_each_ctl_is_a_command_of_ratsctl(tables):
    known = commands()
    for name, row in tables.methods.items():
        if row.get("ctl"):
            assert row["ctl"].split()[0] in known, "%s: %s" % (name, row["ctl"])


def test_each_command_is_in_its_manual(tables):
    page = man_text("ratsctl.1")
    for command in commands():
        assert re.search(r"(^|[\s.])%s\b" % re.escape(command), page, re.M), command


def test_each_option_of_ratsctl_and_ratsd_is_in_its_manual():
    for program, page in ((RATSCTL, "ratsctl.1"), (RATSD, "ratsd.8")):
        text = man_text(page)
        options = set(re.findall(r"--[a-z][a-z-]+", run(program, "--help")))
        assert options, program
        # mdoc writes "--json" as ".Fl -json".
        missing = [o for o in options if o not in text and not re.search(r"\bFl -?%s\b" % o[2:], text)
                   and not re.search(r"\bFl %s\b" % re.escape(o[1:]), text)]
        assert not missing, "%s does not tell of %s" % (page, sorted(missing))


def test_each_function_is_in_librats_3():
    page = man_text("librats.3")
    missing = [name for name in DECLARED if name not in page]
    assert not missing, sorted(missing)


def test_each_row_is_in_rats_ipc_7(tables):
    page = man_text("rats-ipc.7")
    missing = [name for kind in (tables.methods, tables.events, tables.errors) for name in kind
               if name not in page]
    assert not missing, missing


def listed_options():
    """[(section, key, default)] as ratsd --list-config prints them."""
    found = []
    section = ""
    for line in run(RATSD, "--list-config").splitlines():
        heading = re.fullmatch(r"\[(\w+)\]", line.strip())
        option = re.fullmatch(r"#?\s*([a-z_0-9]+) =\s?(.*)", line.strip())
        if heading:
            section = heading.group(1)
        elif option:
            found.append((section, option.group(1), option.group(2)))
    return found


def test_each_configuration_option_is_in_ratsd_conf_5():
    page = man_text("ratsd.conf.5")
    options = listed_options()
    assert len(options) > 5
    for section, key, default in options:
        assert "[%s]" % section in page or re.search(r"\b%s\b" % section, page), section
        assert key in page, "[%s] %s" % (section, key)
        assert not default or default in page, "[%s] %s = %s" % (section, key, default)


def test_the_sample_configuration_is_accepted(tmp_path):
    """What --list-config prints, with every comment sign before an option taken away."""
    text = re.sub(r"(?m)^#\s*([a-z_0-9]+ =)", r"\1", run(RATSD, "--list-config"))
    sample = tmp_path / "sample.conf"
    sample.write_text(text, encoding="utf-8")
    result = subprocess.run([RATSD, "--config", str(sample), "--check-config"], check=False,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            universal_newlines=True, env=environment(str(tmp_path)))
    assert result.returncode == 0, result.stdout


# --- compatibility ---

def vanished(old, new, where):
    """Which fields of old are gone from new or changed their type."""
    faults = []
    rows = {row["name"]: row for row in new}
    for row in old:
        path = "%s.%s" % (where, row["name"])
        if row["name"] not in rows:
            faults.append(path + " is gone")
        elif rows[row["name"]]["type"] != row["type"]:
            faults.append(path + " changed its type")
        else:
            now = rows[row["name"]]
            if not set(row.get("choices", [])) <= set(now.get("choices", row.get("choices", []))):
                faults.append(path + " lost a choice")
            faults += vanished(row.get("fields", []), now.get("fields", []), path)
    return faults


def newly_required(old, new, where):
    known = {row["name"]: row for row in old}
    return ["%s.%s is required now" % (where, row["name"]) for row in new
            if row["required"] and not known.get(row["name"], {"required": False})["required"]]


def test_nothing_of_the_last_release_has_vanished(tables):
    """Same major = compatible: fields may be added, never removed, retyped or made required."""
    with open(DUMP, encoding="utf-8") as file:
        old = json.load(file)
    assert old["version"][0] == tables.document["version"][0]
    faults = []
    for row in old["methods"]:
        now = tables.methods.get(row["name"])
        if now is None:
            faults.append(row["name"] + " is gone")
            continue
        faults += vanished(row["params"], now["params"], row["name"])
        faults += vanished(row["result"], now["result"], row["name"])
        faults += newly_required(row["params"], now["params"], row["name"])
        if (row["permission"], now["permission"]) == ("use", "control"):
            faults.append(row["name"] + " needs control permission now")
    for row in old["events"]:
        now = tables.events.get(row["name"])
        faults += vanished(row["fields"], now["fields"], row["name"]) if now else [row["name"]]
    for row in old["errors"]:
        now = tables.errors.get(row["name"])
        if now is None or now["code"] != row["code"]:
            faults.append("error %s is gone or has another code" % row["name"])
    assert not faults, "\n".join(faults)
