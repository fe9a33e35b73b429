"""The ground every test stands on: an empty directory, the same seed, and nothing left behind for the next test."""

import logging
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small networks: a second thread costs more than it brings
os.environ.pop("GRADWATCH", None)  # a developer's own would put a watch into the Trainer of every test


@pytest.fixture(autouse=True)
def clean_ground(tmp_path, monkeypatch):
    """Run the test in its own empty directory and fail it if it changes what other tests rely on."""
    monkeypatch.chdir(tmp_path)  # Lightning writes lightning_logs and checkpoints where it stands
    environment, before = dict(os.environ), _shared_state()
    _seed()
    yield
    _restore(environment)  # seed_everything and LightningCLI leave variables behind: theirs, not ours
    after = _shared_state()
    left = [f"{what}: {before[what]} became {after[what]}" for what in before if before[what] != after[what]]
    assert not left, "the test leaves behind " + "; ".join(left)


@pytest.fixture
def run_python(tmp_path):
    """A function that runs code in a new interpreter, outside the checkout, and gives back what it printed."""

    def run(code, *args):
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-W", "error", "-c", code, *args]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def _seed():
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:  # the torch-free half is tested without it
        sys.modules["torch"].manual_seed(0)


def _shared_state():
    """What one test could change under the feet of another."""
    torch = sys.modules.get("torch")
    loggers = logging.getLogger(), logging.getLogger("lightning_gradwatch")
    handlers = [type(h).__name__ for log in loggers for h in log.handlers if "pytest" not in type(h).__module__]
    return {
        "logging handlers": handlers,
        "threads": [t.name for t in threading.enumerate() if t.is_alive() and not t.daemon],
        "torch's grad mode": torch.is_grad_enabled() if torch else True,
        "torch's default dtype": str(torch.get_default_dtype()) if torch else "torch.float32",
        "torch's deterministic mode": torch.are_deterministic_algorithms_enabled() if torch else False,
    }


def _restore(environment):
    ours_not = {"PYTEST_CURRENT_TEST"}  # pytest sets it anew for every phase
    for name in os.environ.keys() - environment.keys() - ours_not:
        del os.environ[name]
    for name in environment.keys() - ours_not:
        if os.environ.get(name) != environment[name]:
            os.environ[name] = environment[name]
