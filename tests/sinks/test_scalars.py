import dataclasses
import math

import pytest

from lightning_gradwatch.records import Severity
from lightning_gradwatch.sinks.scalars import SCALARS, scalars
from tests.sinks.samples import bare, finding, frame, ledger, reading, segment

HAND_WORKED = {
    "gradwatch/loss": 2.25,
    "gradwatch/gradient_norm": math.hypot(1e-4, 1e-3, 1e-2, 1e-1),
    "gradwatch/decades_lost": 1.0,  # 0.25 + (-0.5 + 0.125) * 2 - 0.5 = -1: what belongs to the loss does not count
    "gradwatch/decades_lost_in_worst_segment": 0.5,
    "gradwatch/activation_slope": 0.25,
    "gradwatch/dead_units": 0.125,
    "gradwatch/update_ratio_smallest": 1e-4,
    "gradwatch/update_ratio_median": 2.5e-4,
    "gradwatch/clip_ratio": 0.25,
    "gradwatch/learning_rate": 0.0625,
    "gradwatch/learning_rate_scale": 0.5,
    "gradwatch/open_findings": 1.0,
}


def get(key, made, findings=()):
    return scalars(made, findings)[f"gradwatch/{key}"]


def with_ledgers(*segment_lists):
    whole = ledger()
    return frame(ledgers=tuple(dataclasses.replace(whole, segments=tuple(segments)) for segments in segment_lists))


def test_hand_worked_values():
    assert scalars(frame(), [finding()]) == pytest.approx(HAND_WORKED)


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(bare(), id="nothing measured"),
        pytest.param(frame(ledgers=()), id="no ledger"),
        pytest.param(frame(parameters=()), id="no parameters"),
        pytest.param(frame(skipped=True), id="skipped by the scaler"),
        pytest.param(frame(layers=500), id="500 layers"),
        pytest.param(with_ledgers([]), id="empty ledger"),
        pytest.param(with_ledgers([segment("a", math.nan, slope=math.nan, dead=math.nan)]), id="nan"),
    ],
)
def test_always_the_same_few_keys_as_numbers(made):
    values = scalars(made, [finding()])
    assert list(values) == list(SCALARS)
    assert len(values) <= 12
    assert all(type(value) is float for value in values.values())


def test_unknown_is_nan_and_only_the_settings_are_known_of_an_empty_step():
    known = {key: value for key, value in scalars(bare(), ()).items() if not math.isnan(value)}
    assert known == {"gradwatch/learning_rate_scale": 1.0, "gradwatch/open_findings": 0.0}


def test_a_skipped_step_says_nothing_about_gradients():
    values = scalars(frame(skipped=True, parameters=(reading("net.0.weight", math.inf),)), ())
    known = {key.partition("/")[2] for key, value in values.items() if not math.isnan(value)}
    assert known == {"loss", "learning_rate", "learning_rate_scale", "open_findings"}


@pytest.mark.parametrize(
    ("decades", "lost"),
    [
        pytest.param([0.0], 0.0, id="nothing"),
        pytest.param([0.5, 0.5], -1.0, id="growth is a negative loss"),
        pytest.param([-1.0, -math.inf, math.nan], math.inf, id="a dead path: what lies behind is no news"),
        pytest.param([-math.inf, math.inf], math.nan, id="dies and overflows"),
        pytest.param([-1.0, math.nan], math.nan, id="not measured"),
    ],
)
def test_decades_lost(decades, lost):
    made = with_ledgers([segment("a", value) for value in decades])
    assert get("decades_lost", made) == pytest.approx(lost, nan_ok=True)
    assert math.copysign(1, get("decades_lost", made)) == math.copysign(1, lost)  # no -0.0 in anybody's table


def test_of_several_ledgers_the_one_that_loses_most_counts():
    made = with_ledgers([segment("a", -1.0)], [segment("a", -4.0)], [segment("a", math.nan)])
    assert get("decades_lost", made) == 4.0


def test_what_pooling_averages_away_is_not_lost():
    made = with_ledgers([segment("a", -1.0), segment("a", -2.0, "pool"), segment("a", 0.0)])
    assert get("decades_lost", made) == 1.0
    assert get("decades_lost_in_worst_segment", made) == 1.0


@pytest.mark.parametrize(
    ("state", "count"),
    [
        ({"severity": Severity.INFO}, 0.0),
        ({"severity": Severity.WARNING}, 1.0),
        ({"severity": Severity.CRITICAL}, 1.0),
        ({"severity": Severity.CRITICAL, "resolved": True}, 0.0),
    ],
    ids=["information", "warning", "critical", "resolved"],
)
def test_only_open_alarms_are_counted(state, count):
    assert get("open_findings", bare(), [finding(**state)]) == count


def test_every_key_stands_under_one_prefix_with_unit_and_meaning():
    for key, (unit, meaning) in SCALARS.items():
        assert key.startswith("gradwatch/")
        assert unit
        assert len(meaning.split()) >= 4
