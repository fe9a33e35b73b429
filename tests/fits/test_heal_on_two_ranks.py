"""Two ranks are healed alike, or not at all; and none of them waits for the other for ever."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.fits.ranks.healed import STEPS

# As in test_ddp: torch's own threads sometimes abort a gloo worker while it exits, after both ranks have reported.
_EXIT_RACE = "terminate called without an active exception"


def both(situation, folder):
    """What the ranks tell."""
    env = {**os.environ, "PYTHONPATH": f"{ROOT}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-m", "tests.fits.ranks.healed", situation, str(folder)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0 or _EXIT_RACE in done.stderr, done.stderr[-3000:]
    left, right = (json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1))
    assert left["steps"] == right["steps"] == STEPS
    assert left["weights"] == right["weights"]
    assert left["apart"] == right["apart"] == 0  # gradients, those of new parameters too
    assert left["events"] == right["events"]
    return left


@pytest.mark.parametrize("situation", ["normalised", "scaled by data", "its watch failed"])
def test_both_are_healed_alike(situation, tmp_path):
    told = both(situation, tmp_path)
    assert told["actions"] == ["treat"]
    assert told["parameters"] == told["trained"] == (42 if situation == "normalised" else 22)


def test_a_treatment_that_fails_on_one_rank_is_undone_on_the_other(tmp_path):
    told = both("its treatment fails", tmp_path)
    assert set(told["actions"]) == {"no_cure"}
    assert told["reasons"][0] == "a treatment could not be carried out on another rank"


def test_without_batches_on_one_rank_nothing_is_tried(tmp_path):
    assert both("its data is gone", tmp_path)["actions"] == []
