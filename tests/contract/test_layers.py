"""Who may include whom: daemon/LAYERS against every #include and every Meson dependency."""
import os
import re

import pytest

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
DAEMON = os.path.join(ROOT, "daemon")
CLIENT = os.path.join(ROOT, "libratsclient")

# Folders of the client side: LAYERS calls libratsclient/ itself "librats".
CLIENT_FOLDERS = {"proto": "proto", "librats": "", "ratsctl": "ratsctl"}
# What the C library and the kernel provide; everything else must be named in LAYERS.
LIBC_FOLDERS = {"sys", "net", "netinet", "arpa", "linux"}
LIBC = set(
    "assert ctype dirent dlfcn endian errno fcntl getopt grp ifaddrs inttypes limits locale malloc math "
    "netdb poll pwd sched signal stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib "
    "string strings syslog termios time unistd byteswap spawn threads langinfo wchar wctype"
    .split()
)
# Which system library a Meson dependency brings, in the words of LAYERS.
MESON_LIBRARIES = {
    "event_dep": "event2",
    "jansson_dep": "jansson.h",
    "libcrypto_dep": "openssl",
    "inih_dep": "ini.h",
    "sqlite_dep": "sqlite3.h",
    "systemd_dep": "systemd",
    "threads_dep": "pthread.h",
}


def read_layers():
    """{folder: (set of folders and headers, set of system libraries)} in the order of the file."""
    layers = {}
    with open(os.path.join(DAEMON, "LAYERS"), encoding="utf-8") as file:
        for line in file:
            line = line.split("#", 1)[0].strip()
            if not line:
                continue
            folder, words = line.split(":", 1)
            words = words.split()
            assert folder not in layers, "LAYERS names %s twice" % folder
            layers[folder] = (
                {word for word in words if not word.startswith("<")},
                {word.strip("<>") for word in words if word.startswith("<")},
            )
    return layers


LAYERS = read_layers()
GATED = set().union(*(system for _, system in LAYERS.values()))


def folder_path(folder):
    if folder in CLIENT_FOLDERS:
        return os.path.join(CLIENT, CLIENT_FOLDERS[folder])
    return os.path.join(DAEMON, "" if folder == "." else folder)


def sources(folder):
    path = folder_path(folder)
    if not os.path.isdir(path):
        return []
    return [
        os.path.join(path, name) for name in sorted(os.listdir(path)) if name.endswith((".c", ".h"))
    ]


def includes(path):
    """(line number, bracket or quote, name) of each #include."""
    pattern = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            match = pattern.match(line)
            if match:
                yield number, match.group(1), match.group(2)


def quoted_fault(folder, path, name):
    """None when folder may include the project header name, else what is wrong."""
    allowed = LAYERS[folder][0]
    if name in ("librats.h", "librats_c.h"):
        if folder == "librats" or "librats.h" in allowed:
            return None
        return "may not see the public header"
    if "/" not in name:
        if os.path.exists(os.path.join(os.path.dirname(path), name)):
            return None
        return "no such header beside this file; write the folder in front"
    target = name.split("/", 1)[0]
    if target == folder:
        return None
    if target in allowed or name in allowed:
        return None
    return "may include only: %s" % (" ".join(sorted(allowed)) or "its own headers")


def system_fault(folder, name):
    """None when folder may include the system header name, else what is wrong."""
    first = name.split("/", 1)[0]
    library = first if first in GATED else name
    if library in GATED:
        if library in LAYERS[folder][1]:
            return None
        return "<%s> is not for this folder" % library
    if name in ("librats.h", "librats_c.h"):
        return quoted_fault(folder, "", name)
    if "/" in name and first in LIBC_FOLDERS:
        return None
    if name.endswith(".h") and name[:-2] in LIBC:
        return None
    return "<%s> is neither libc's nor named in LAYERS" % name


@pytest.mark.parametrize("folder", list(LAYERS))
def test_a_folder_includes_only_what_layers_permits(folder):
    faults = []
    for path in sources(folder):
        for number, bracket, name in includes(path):
            if bracket == '"':
                fault = quoted_fault(folder, path, name)
            else:
                fault = system_fault(folder, name)
            if fault:
                where = os.path.relpath(path, ROOT)
                faults.append('%s:%d: includes "%s": %s' % (where, number, name, fault))
    assert not faults, "\n".join(faults)


def test_every_folder_with_sources_has_a_line():
    found = set()
    for base in (DAEMON, CLIENT):
        for path, _, names in os.walk(base):
            if any(name.endswith((".c", ".h")) for name in names):
                found.add(os.path.relpath(path, ROOT))
    known = {os.path.relpath(folder_path(folder), ROOT) for folder in LAYERS}
    assert found <= known, "no line in daemon/LAYERS: %s" % sorted(found - known)


def test_every_line_names_a_folder_that_exists():
    for folder in LAYERS:
        assert os.path.isdir(folder_path(folder)), folder


def test_a_daemon_folder_names_only_folders_above_it():
    above = {"proto"}  # the contract: linked by both sides, includes nothing of the daemon
    for folder, (project, _) in LAYERS.items():
        if folder in CLIENT_FOLDERS:
            continue
        for word in project:
            assert word.split("/", 1)[0] in above, "%s: may not name %s" % (folder, word)
        above.add(folder)


def test_proto_includes_nothing_of_the_daemon():
    assert LAYERS["proto"][0] <= {"util"} and "util" not in LAYERS["proto"][0]


def meson_text(folder):
    path = os.path.join(folder_path(folder), "meson.build")
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8") as file:
        return re.sub(r"#.*", "", file.read())


@pytest.mark.parametrize("folder", [f for f in LAYERS if f not in (".", "librats", "ratsctl")])
def test_a_static_library_links_only_what_layers_permits(folder):
    text = meson_text(folder)
    assert "static_library('%s'" % folder in text, "%s is one static library" % folder
    project, system = LAYERS[folder]
    folders = {word.split("/", 1)[0] for word in project}
    for name in set(re.findall(r"\b(\w+)_dep\b", text)):
        if name == folder or name.startswith(folder + "_"):
            continue  # the folder itself, or a part of it that others link alone
        if name + "_dep" in MESON_LIBRARIES:
            assert MESON_LIBRARIES[name + "_dep"] in system, "%s links %s" % (folder, name)
        else:
            assert name in folders, "%s links %s" % (folder, name)


def test_only_the_composition_stands_beside_the_folders():
    strangers = [name for name in os.listdir(DAEMON) if name.endswith((".c", ".h"))
                 and name.rsplit(".", 1)[0] not in ("main", "services", "options", "paths", "state",
                                                    "check_config")]
    assert not strangers, "belongs in a folder: %s" % sorted(strangers)
