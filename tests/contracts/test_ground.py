"""The ground that tests/conftest.py lays: a test that disturbs the next one fails, in every way that we look for."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT

LEAKS = {
    "logging handlers": "import logging; logging.getLogger('lightning_gradwatch').addHandler(logging.StreamHandler())",
    "torch's grad mode": "import torch; torch.set_grad_enabled(False)",
    "torch's default dtype": "import torch; torch.set_default_dtype(torch.float64)",
    "torch's deterministic mode": "import torch; torch.use_deterministic_algorithms(True)",
    # The last: it ends by itself, which in a slow next test would be told as that one's leak.
    "threads": "import threading, time; threading.Thread(target=time.sleep, args=(3,), name='left').start()",
}
CLEAN = """
import os, random
from pathlib import Path

def test_first():
    Path("file").touch()
    os.environ["SEED_OF_ANOTHER"] = "1"
    test_first.drawn = random.random()

def test_second():
    assert not Path("file").exists()
    assert "SEED_OF_ANOTHER" not in os.environ
    assert test_first.drawn == random.random()
"""


@pytest.fixture
def run_tests(tmp_path):
    def run(source):
        (tmp_path / "tests").mkdir()
        shutil.copy(ROOT / "tests" / "conftest.py", tmp_path / "tests")
        (tmp_path / "tests" / "test_it.py").write_text(source)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path]
        return subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        ).stdout

    return run


def test_every_leak_is_told_where_it_happens(run_tests):
    leaky = "".join(f"def test_{i}():\n    {code}\n\n" for i, code in enumerate(LEAKS.values()))
    told = re.findall(
        r"^ERROR .*::test_(\d) - AssertionError: the test leaves behind ([^:]+): ", run_tests(leaky), re.MULTILINE
    )
    assert told == [(str(i), what) for i, what in enumerate(LEAKS)]


def test_every_test_begins_the_same(run_tests):
    assert "2 passed" in run_tests(CLEAN)
