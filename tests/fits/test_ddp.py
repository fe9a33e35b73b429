"""DDP: several ranks, each with its part of the batch."""

import pytest

from lightning_gradwatch.callbacks import notes
from tests.fits.ranks import run
from tests.fits.ranks.comparing import differences, verdicts

TWINS = (
    "ddp",
    "ddp_find_unused_parameters_true",
    "ddp, static graph",
    "ddp, comm hook",
    "ddp, accumulate 2",
    "ddp, clipping",
    "ddp, manual optimisation",
    "ddp, NaN on one rank",
)
ROUNDED, SPARSE = "ddp, comm hook in bf16", "ddp, some steps measured"
FORKED, FRAGILE = "ddp, ranks run different graphs", "ddp, the watch fails on one rank"

ILL, ILL_FRAGILE = "ddp, falls ill", "ddp, falls ill, and so does the watch on one rank"


@pytest.fixture(scope="module")
def fits(tmp_path_factory):
    return run.told(tmp_path_factory.mktemp("ddp"), [*TWINS, ROUNDED, SPARSE, FORKED, FRAGILE, ILL, ILL_FRAGILE])


@pytest.mark.parametrize("name", [*TWINS, ROUNDED, SPARSE, FORKED, ILL])
def test_ranks_say_the_same(name, fits):
    left, right = fits[0][name]
    for part in ("frames", "findings", "events", "weights", "notes", "layers"):
        assert not differences(left[part], right[part], path=part)
    assert left["off"] is right["off"] is False


@pytest.mark.parametrize("name", [*TWINS, SPARSE])
def test_as_one_process_with_the_whole_batch(name, fits):
    together, alone = fits[0][name][0], fits[1][name]
    assert verdicts(together) == verdicts(alone)
    for part in ("frames", "findings", "layers"):
        # Which operation of a loss first broke is looked for by a process alone: ranks do not tell each other.
        assert not differences(together[part], alone[part], rel=1e-4, leave_out=("fault",), path=part)
    assert together["notes"] == alone["notes"] == []
    assert all(frame["ledgers"] for frame in together["frames"])
    assert together["findings"][0]["kind"] == "vanishing"


def test_a_hook_that_rounds_gradients_changes_no_verdict(fits):
    together, alone = fits[0][ROUNDED][0], fits[1][ROUNDED]
    assert verdicts(together) == verdicts(alone)
    assert differences(together["frames"], alone["frames"], rel=1e-6)
    assert not differences(together["frames"], alone["frames"], rel=0.1, leave_out=("zeros",))


def test_nan_on_one_rank_is_found_on_all(fits):
    for told in fits[0]["ddp, NaN on one rank"]:
        [found] = [finding for finding in told["findings"] if finding["kind"] == "nonfinite"]
        assert found["first_step"] == 3
        assert told["frames"][3]["loss"] == "nan"
        assert told["frames"][3]["ledgers"][0]["end"] == "nan"


@pytest.mark.parametrize("name", ["ddp", SPARSE, ILL])
def test_one_all_reduce_a_measured_step_and_silence_on_others(name, fits):
    for told in fits[0][name]:
        measured = {frame["step"] for frame in told["frames"]}
        steps = range(len(told["talk"]))
        assert [told["talk"][step] for step in steps] == [{"allreduce_": 1} if s in measured else {} for s in steps]
        assert told["others"]["allreduce_"] >= len(told["talk"])  # the counter does see what DDP itself says
    assert (len(measured) < len(steps)) == (name != "ddp")


SCHEDULED = {*range(10), 11, 16, 21}  # the last one is the fit's last step


@pytest.mark.parametrize("name", [ILL, ILL_FRAGILE])
def test_all_ranks_stay_awake_together_until_a_symptom_is_confirmed(name, fits):
    for told in fits[0][name]:
        [found] = [finding for finding in told["findings"] if finding["kind"] == "vanishing"] or [None]
        awake = {frame["step"] for frame in told["frames"]} - SCHEDULED
        if told["off"]:
            assert awake == set()
        else:
            assert (found["first_step"], awake) == (16, {17, 18})
    assert not differences(fits[0][name][0]["weights"], fits[0][name][1]["weights"])
    assert [told["off"] for told in fits[0][name]] == [False, name == ILL_FRAGILE]


def test_ranks_with_different_graphs_have_no_ledger_but_all_gradients(fits):
    for told in fits[0][FORKED]:
        assert told["notes"] == [notes.DIFFERENT]
        assert not any(frame["ledgers"] for frame in told["frames"])
        assert all(reading["norm"] > 0 for reading in told["frames"][0]["parameters"])


def test_a_watch_that_fails_on_one_rank_hangs_nobody_and_all_act_alike(fits):
    left, right = fits[0][FRAGILE]
    assert (left["off"], right["off"]) == (False, True)
    assert left["notes"] == [notes.ABSENT]
    assert verdicts(left)[2] == verdicts(right)[2] == verdicts(fits[0]["ddp"][0])[2] != []
    assert not differences(left["weights"], right["weights"])
    assert [finding["kind"] for finding in left["findings"]] == ["vanishing"]
    # What one rank measured on its own is near what both measured before.
    assert not differences(left["frames"], fits[1]["ddp"]["frames"], rel=0.3)
