"""The pytest plugin, in a pytest of its own, with and without torch."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PLUGIN = "lightning_gradwatch.testing.plugin"
FLOWS = """
import torch
from torch import nn

def test_flows(assert_gradients_flow):
    assert_gradients_flow(nn.Linear(2, 1), torch.rand(4, 2), batches=2)

def test_does_not(assert_gradients_flow):
    layers = [layer for _ in range(15) for layer in (nn.Linear(8, 8), nn.Sigmoid())]
    assert_gradients_flow(nn.Sequential(*layers, nn.Linear(8, 1)), torch.rand(4, 8))
"""
WITHOUT = """
import sys

def test_nothing_heavy_is_loaded():
    heavy = {"torch", "lightning", "pytorch_lightning", "numpy", "matplotlib", "tensorboard"}
    assert not heavy & {name for name, module in sys.modules.items() if module is not None}

def test_other():
    pass
"""
NO_TORCH = "import sys; sys.modules['torch'] = None\n"


@pytest.fixture
def run(tmp_path):
    def ran(source, conftest=""):
        (tmp_path / "test_it.py").write_text(source)
        (tmp_path / "conftest.py").write_text(conftest)
        command = [sys.executable, "-W", "error", "-m", "pytest", "-p", PLUGIN, "-p", "no:cacheprovider", tmp_path]
        env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "200"}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)
        return done.stdout + done.stderr

    return ran


def test_the_fixture_asserts_in_the_callers_line(run):
    shown = run(FLOWS)
    assert "1 failed, 1 passed" in shown
    assert "AssertionError: The gradients of Sequential do not flow." in shown
    assert "test_it.py:10: AssertionError" in shown, "the traceback ends where the test called"


def test_a_project_without_torch_notices_nothing(run):
    assert "2 passed" in run(WITHOUT, NO_TORCH)


def test_a_test_that_asks_without_torch_fails_with_torch_s_name(run):
    shown = run("def test(assert_gradients_flow):\n    assert_gradients_flow(None, None)\n", NO_TORCH)
    assert "1 failed" in shown
    assert "torch" in shown.splitlines()[-2]


def test_it_is_listed_with_what_it_is(tmp_path):
    command = [sys.executable, "-m", "pytest", "-p", PLUGIN, "--fixtures", "-q", tmp_path]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    shown = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False).stdout
    assert "assert_gradients_flow [session scope]" in shown


def test_the_wheel_tells_pytest_of_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"gradwatch": PLUGIN}
