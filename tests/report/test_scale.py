import math

import pytest

from lightning_gradwatch.report.scale import Scale


def test_healthy_noise_is_not_blown_up():
    scale = Scale.over([[0.0, -0.1, 0.05]])
    assert scale.low <= -3
    assert scale.high >= 1


ROWS = {
    "healthy": [0.0, -0.2],
    "17 decades": [0.0, -17.1],
    "400 decades": [0.0, -400.0],
    "exploding": [0.0, 38.0],
    "dead": [0.0, -math.inf],
    "infinite": [0.0, math.inf],
    "everything": [math.nan, -math.inf, math.inf, 3.0, -30.0],
    "nothing known": [math.nan],
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_few_ticks_within_the_edges(row):
    scale = Scale.over([row])
    places, labels = scale.ticks()
    assert 3 <= len(places) <= 11
    assert len(set(labels)) == len(labels)
    assert all(scale.bottom < place < scale.top for place in places)
    assert "all of it" in labels


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_clipped_rows_lie_within_the_edges(row):
    scale = Scale.over([row])
    clipped = scale.clip(row)
    assert [math.isnan(value) for value in clipped] == [math.isnan(value) for value in row]
    assert all(scale.bottom < value < scale.top for value in clipped if not math.isnan(value))


def test_nothing_lies_below_everything_finite():
    scale = Scale.over([[0.0, -3.0, -math.inf]])
    assert scale.clip([-math.inf])[0] < -3.0
    assert dict(zip(*scale.ticks(), strict=True))[scale.floor] == "nothing"


LABELS = {"by ones": (-2.0, "1/100"), "by threes": (-17.0, "1 millionth"), "by twos": (-13.0, "1e-6")}


@pytest.mark.parametrize(("low", "label"), LABELS.values(), ids=LABELS)
def test_labels_are_words_where_they_help(low, label):
    assert label in Scale.over([[0.0, low]]).ticks()[1]
