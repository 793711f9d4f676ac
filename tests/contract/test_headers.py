"""Each header compiles alone and opens with a paragraph; librats.h is good C and C++."""
import concurrent.futures
import os
import re
import shutil
import subprocess

import pytest

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
COMPILER = os.environ.get("CC", "gcc")
PUBLIC = ("librats.h", "librats_c.h")
FLAGS = ["-std=gnu11", "-D_GNU_SOURCE", '-DRATS_VERSION="0"', "-Wall", "-Wextra", "-Wpedantic",
         "-Werror", "-fsyntax-only"]


def headers():
    found = []
    for base in ("daemon", "libratsclient", "include"):
        for path, _, names in os.walk(os.path.join(ROOT, base)):
            found += [os.path.join(path, name) for name in names if name.endswith(".h")]
    return sorted(found)


def package_flags():
    packages = ["libevent_core", "jansson", "libcrypto", "inih", "sqlite3"]
    result = subprocess.run(["pkg-config", "--cflags"] + packages, stdout=subprocess.PIPE,
                            check=True, universal_newlines=True)
    return result.stdout.split()


def compile_alone(path, compiler, language, flags):
    """Compiles a file that holds nothing but two #includes of path; the compiler's complaint."""
    source = '#include "%s"\n#include "%s"\n' % (path, path)
    result = subprocess.run(
        [compiler, "-x", language] + flags + ["-"], input=source, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, universal_newlines=True, check=False)
    return result.stdout if result.returncode else ""


def test_every_header_compiles_alone():
    flags = FLAGS + ["-I" + os.path.join(ROOT, d) for d in ("daemon", "libratsclient", "include")]
    flags += package_flags()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        complaints = pool.map(lambda path: compile_alone(path, COMPILER, "c", flags), headers())
    faults = [complaint for complaint in complaints if complaint]
    assert not faults, "\n".join(faults)


def test_every_header_opens_with_a_paragraph():
    faults = []
    for path in headers():
        with open(path, encoding="utf-8") as file:
            if not file.read(2) == "/*":
                faults.append(os.path.relpath(path, ROOT))
    assert not faults, "no opening comment: %s" % " ".join(faults)


@pytest.mark.parametrize("name", PUBLIC)
@pytest.mark.parametrize("language,standard", [("c", "-std=c99"), ("c", "-std=c11"),
                                               ("c++", "-std=c++11")])
def test_the_public_header_needs_nothing_else(name, language, standard):
    path = os.path.join(ROOT, "include", name)
    compiler = COMPILER
    if language == "c++":
        compiler = shutil.which("g++") or shutil.which("clang++")
        if compiler is None:
            pytest.skip("neither g++ nor clang++ is installed")
    complaint = compile_alone(path, compiler, language,
                              [standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror",
                               "-fsyntax-only"])
    assert not complaint, complaint


def test_librats_c_h_only_includes_librats_h():
    with open(os.path.join(ROOT, "include", "librats_c.h"), encoding="utf-8") as file:
        lines = [line.strip() for line in file if line.startswith("#")]
    wanted = [line for line in lines if not re.match(r"#(ifndef|define|endif)", line)]
    assert wanted == ['#include "librats.h"'], wanted
