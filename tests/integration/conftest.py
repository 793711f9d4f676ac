"""Fixtures of the tests that move files."""
import os
import subprocess

import pytest


@pytest.fixture
def programs():
    """Makes programs with the file callbacks (filing.Program); they end with the test."""
    from filing import Program  # it loads the library, which other tests may not need
    made = []

    def make(node, **options):
        made.append(Program(node, **options))
        return made[-1]
    yield make
    for program in made:
        program.close()


@pytest.fixture
def target(tmp_path):
    """An empty directory for what is received."""
    os.mkdir(tmp_path / "target")
    return str(tmp_path / "target")


@pytest.fixture
def small_disk(tmp_path):
    """Makes directories on a file system of their own with so much room."""
    mounted = []

    def make(size="8m", inodes=1000):
        if os.geteuid() != 0:
            pytest.skip("needs root to mount a small file system")
        path = str(tmp_path / ("disk%d" % len(mounted)))
        os.mkdir(path)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%s,nr_inodes=%d" % (size, inodes), "tmpfs", path],
                              check=False, stderr=subprocess.DEVNULL)
        if done.returncode != 0:
            pytest.skip("a file system cannot be mounted here")
        mounted.append(path)
        return path
    yield make
    for path in mounted:
        subprocess.run(["umount", "-l", path], check=True)
