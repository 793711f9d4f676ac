"""The manual: its generated parts are what the programs say today, and mandoc finds no fault."""
import glob
import os
import shutil
import subprocess
import sys

import pytest
from daemons import RATSCTL, RATSD, ROOT, environment

PAGES = sorted(glob.glob(os.path.join(ROOT, "man", "*.[1-9]")))


def test_the_generated_parts_are_up_to_date():
    done = subprocess.run(
        [sys.executable, os.path.join(ROOT, "man", "generate.py"), "--check", "--ratsctl", RATSCTL,
         "--ratsd", RATSD],
        env=environment("/nonexistent"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        universal_newlines=True, check=False)
    assert done.returncode == 0, done.stdout + "run man/generate.py --ratsctl ... --ratsd ..."


def test_the_pages_are_all_there():
    assert [os.path.basename(page) for page in PAGES] == [
        "librats.3", "rats-ipc.7", "ratsctl.1", "ratsd.8", "ratsd.conf.5"]


@pytest.mark.parametrize("page", PAGES, ids=os.path.basename)
def test_mandoc_finds_no_fault(page):
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not installed")
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True, check=False)
    assert done.returncode == 0 and not done.stdout, done.stdout
