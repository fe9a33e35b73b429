from dataclasses import replace

import pytest

from lightning_gradwatch.diagnose.evidence import EVIDENCE, gather
from lightning_gradwatch.records import Kind, TimeProfile
from tests.diagnose.made import found, net, op, past
from tests.reference.records import chain, frame

TRUNK, OTHER = chain(-0.6, -0.6), chain(-0.6, name="loss[1]")
BRANCH = replace(chain(-1.0, -1.0), target="branch.weight", target_layer="branch")
TIME = TimeProfile(ledger="loss", layer="rnn", decades=(-5.0, -2.0, 0.0), steps=3)
FRAME = frame(3, TRUNK, OTHER, branches=(BRANCH,), times=(TIME,), operations=(op("net.0", slope=0.01),))


def known(kind, name, one=FRAME):
    told = gather(found(kind, name), one, net(), past())
    return {name: value for name, value in told.items() if value is not None}


@pytest.mark.parametrize("kind", Kind)
def test_every_piece_has_a_name_that_the_documentation_knows(kind):
    assert set(known(kind, str(kind))) <= set(EVIDENCE)


@pytest.mark.parametrize(
    ("name", "ledger"),
    [("vanishing:loss", TRUNK), ("vanishing:loss[1]", OTHER), ("vanishing:loss/branch", BRANCH)],
)
def test_the_ledger_that_the_id_names(name, ledger):
    told = known("vanishing", name)
    assert told["ledger"] is ledger
    assert "losses" in told


def test_through_time_the_way_along_depth_explains_nothing():
    told = known("vanishing", "vanishing_in_time:loss:rnn")
    assert told["profile"] is TIME
    assert "losses" not in told
    assert "gains" not in known("exploding", "exploding_in_time:loss:rnn")


def test_growth_over_the_fit_is_not_growth_along_depth():
    assert "gains" not in known("exploding", "exploding")
    assert "gains" in known("exploding", "exploding:loss")


def test_blame_is_for_what_is_flat_or_dead():
    assert "blame" in known("saturation", "saturation")
    assert "blame" not in known("vanishing", "vanishing:loss")
    assert "stall" in known("stalled", "stalled")


def test_an_empty_frame_has_no_evidence_but_itself():
    told = known("saturation", "saturation", frame(0, parameters=()))
    assert set(told) == {"finding", "frame", "anatomy", "history", "course"}


@pytest.mark.parametrize(
    ("start", "first", "grown"),
    [
        (chain(*[0.5] * 8), 1, True),
        (chain(*[0.5] * 8), 30, False),
        (chain(*[0.1] * 8), 1, False),
        (chain(*[-0.5] * 8), 1, False),
    ],
    ids=["at the start", "long after it", "a little", "it faded"],
)
@pytest.mark.parametrize("kind", ["exploding", "nonfinite"])
def test_an_explosion_at_the_start_is_told_by_the_first_frame(kind, start, first, grown):
    finding = replace(found(kind), first_step=first)
    told = gather(finding, frame(first), net(), past(), frame(0, start))
    assert (told.get("gains") is not None) == grown
    assert gather(finding, frame(first), net(), past()).get("gains") is None


def test_growth_through_time_is_none_along_depth():
    grows = TimeProfile(ledger="loss", layer="rnn", decades=(5.0, 2.0, 0.0), steps=3)
    start = frame(0, chain(*[0.5] * 8), times=(grows,))
    assert gather(replace(found("exploding"), first_step=1), frame(1), net(), past(), start).get("gains") is None


def test_rules_of_sagemaker_are_explained_as_our_own_detectors_of_the_same_sickness():
    lost = frame(3, chain(*[-0.6] * 5), operations=FRAME.operations)
    told = known("vanishing", "sagemaker:VanishingGradient", lost)
    assert told["losses"] == known("vanishing", "vanishing:loss", lost)["losses"]
    assert told["finding"].id == "vanishing:loss"
    assert "gains" not in known("exploding", "sagemaker:WeightUpdateRatio.large")
    assert "stall" in known("stalled", "sagemaker:LossNotDecreasing")


def test_where_nothing_is_lost_on_the_way_the_way_explains_nothing():
    assert "losses" not in known("vanishing", "sagemaker:VanishingGradient", frame(3, chain(-0.1, -0.1)))
