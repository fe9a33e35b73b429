"""FSDP2, HSDP and tensor parallelism through ModelParallelStrategy."""

import pytest

from lightning_gradwatch.callbacks import notes
from tests.fits.ranks import run
from tests.fits.ranks.comparing import UNKNOWN_IN_SLICES, differences, verdicts

TWO = ("FSDP2", "FSDP2, empty shards", "FSDP2, NaN on one rank", "tensor parallel")
FOUR = ("HSDP 2x2", "FSDP2 and tensor parallel 2x2")
SEQUENCE = "sequence parallel"
FRAGILE = "FSDP2, the watch fails on one rank"
# A rank counts the units of its own slice of an activation, and asks no other one what broke.
UNKNOWN_ON_RANKS = ("units", "fault")
# The four samples that each of four ranks sees are too few to call a unit dead.
UNKNOWN_OF_FEW = ("dead", "silent", "window")


@pytest.fixture(scope="module")
def fits(tmp_path_factory):
    two = run.told(tmp_path_factory.mktemp("two"), [*TWO, SEQUENCE, FRAGILE])
    four = run.told(tmp_path_factory.mktemp("four"), FOUR, world=4)
    return {**two[0], **four[0]}, {**two[1], **four[1]}


@pytest.mark.parametrize("name", TWO + FOUR)
def test_ranks_say_the_same(name, fits):
    first, *others = fits[0][name]
    for other in others:
        for part in ("frames", "findings", "events", "weights", "notes", "layers"):
            assert not differences(first[part], other[part], path=part)
        assert first["off"] is other["off"] is False


@pytest.mark.parametrize("name", TWO + FOUR)
def test_as_one_process_with_the_whole_network(name, fits):
    together, alone = fits[0][name][0], fits[1][name]
    assert verdicts(together) == verdicts(alone)
    left_out = (*UNKNOWN_IN_SLICES, *UNKNOWN_ON_RANKS, *(UNKNOWN_OF_FEW if name in FOUR else ()))
    assert not differences(together["frames"], alone["frames"], rel=1e-4, leave_out=left_out)
    assert together["notes"] == alone["notes"] == []
    assert all(frame["ledgers"] for frame in together["frames"])
    # Names and kinds are the user's; the spread of weights that lie in slices is the one thing that is not known.
    assert not differences(together["layers"], alone["layers"], leave_out=("weight_std",))


@pytest.mark.parametrize("name", ["FSDP2", "tensor parallel", *FOUR])
def test_one_all_reduce_a_measured_step(name, fits):
    for told in fits[0][name]:
        assert told["talk"] == [{"allreduce_": 1}] * len(told["frames"])
        assert len(told["frames"]) == 6
        assert sum(told["others"].values()) > 50  # the counter does see what the strategy itself says


def test_sums_that_nobody_has_formed_are_left_out_and_said(fits):
    left, right = fits[0][SEQUENCE]
    alone = fits[1][SEQUENCE]
    assert left["notes"] == right["notes"] == [notes.partial("net.norm.weight", 2)]
    assert not differences(left["frames"], right["frames"])
    for frame, twin in zip(left["frames"], alone["frames"], strict=True):
        assert not differences(frame["ledgers"], twin["ledgers"], rel=1e-4)
        known = [reading for reading in twin["parameters"] if not reading["name"].startswith("net.norm")]
        assert not differences(frame["parameters"], known, rel=1e-4, leave_out=UNKNOWN_IN_SLICES)
        assert "norm" not in frame["optimizers"][0]  # a norm of some of the gradients would be a wrong number


def test_empty_shards_are_there(fits):
    [weight] = [r for r in fits[0]["FSDP2, empty shards"][1]["frames"][0]["parameters"] if r["name"] == "net.2.weight"]
    assert weight["size"] == 16  # one row of 16: the second rank holds nothing of it
    assert weight["norm"] > 0


def test_a_watch_that_fails_leaves_no_wrong_numbers(fits):
    left, right = fits[0][FRAGILE]
    assert (left["off"], right["off"]) == (False, True)
    assert left["notes"] == [notes.INCOMPLETE]
    assert [len(frame["parameters"]) for frame in left["frames"]] == [22, 22, 0, 0, 0, 0]
    assert left["findings"] == left["events"] == []
