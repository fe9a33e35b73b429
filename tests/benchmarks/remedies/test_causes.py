"""The article's causes and cures: the figures, the tables, the picture, and one fit."""

import json
import math

import causes
import cures_page
import pytest
from article import CAUSES, REMEDIES
from causes_figure import draw

RESULTS = {
    "sigmoid-20": {
        "nothing": {
            "0": {"before": 12.0, "after": 12.0, "accuracy": 0.1, "changed": True},
            "1": {"before": 14.0, "after": 12.0, "accuracy": 0.12, "changed": True},
        },
        "relu": {"0": {"before": "inf", "after": None, "accuracy": 0.5, "changed": False}},
        "batch-norm": {"0": {"error": "ValueError: Expected more than 1 value"}},
    }
}


def test_every_remedy_of_a_cause_is_one():
    assert {name for cause in CAUSES.values() for name in cause.remedies} == {*REMEDIES}
    assert all(cause.remedies[0] == "nothing" for cause in CAUSES.values())


def test_means_and_spreads_by_hand():
    row = cures_page.figures(RESULTS["sigmoid-20"]["nothing"])
    assert row["before"] == (13.0, pytest.approx(math.sqrt(2)))
    assert row["accuracy"] == (pytest.approx(0.11), pytest.approx(0.01 * math.sqrt(2)))
    assert cures_page.figures(RESULTS["sigmoid-20"]["relu"])["before"] == (math.inf, 0.0)


def test_the_table_says_what_was_lost_what_was_refused_and_what_changed_nothing():
    text = cures_page.causes_tables(RESULTS)
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("|")}
    assert [cell.strip() for cell in lines["nothing"].split("|")[2:4]] == ["13.0 ± 1.4", "11 ± 1 %"]
    assert [cell.strip() for cell in lines[REMEDIES["relu"].title].split("|")[2:4]] == [
        "all",
        "50 ± 0 % (nothing to change)",
    ]
    assert "refused: ValueError: Expected more than 1 value" in lines["batch normalisation"]
    assert "Adam, rate" not in text


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_the_picture_is_a_small_file(tmp_path, suffix):
    pytest.importorskip("matplotlib")
    draw(RESULTS, tmp_path / f"causes.{suffix}")
    assert 2_000 < (tmp_path / f"causes.{suffix}").stat().st_size < 200_000


def test_twenty_sigmoids_lose_what_sigmoids_lose_and_learn_nothing(monkeypatch):
    monkeypatch.setattr(causes, "STEPS", 30)
    row = causes.fit("sigmoid-20", "nothing", 0)
    assert 10 < row["before"] < 25  # each passes a quarter at most: 20 log10(4) = 12.04
    assert row["accuracy"] < 0.2


def test_a_fit_that_torch_refuses_is_a_result(monkeypatch):
    def refuse(*_):
        raise ValueError("Expected more than 1 value per channel")

    monkeypatch.setattr(causes, "fit", refuse)
    assert causes.work("relu-30", "batch-norm-1", 0) == {"error": "ValueError: Expected more than 1 value per channel"}


def test_the_page_holds_what_there_is(tmp_path, monkeypatch):
    monkeypatch.setattr(cures_page, "CAUSES_FILE", tmp_path / "causes.json")
    assert "## " not in cures_page.page(tmp_path / "results.json")
    (tmp_path / "causes.json").write_text(json.dumps(RESULTS))
    arms = {"nothing": {"score": 0.1}, "twin": {"score": 1.0}, "heal": {"score": 0.99}}
    row = {"name": "one-s0", "half": "judge", "health": "sick", "bug": "", "causes": ["depth"], "arms": arms}
    (tmp_path / "results.json").write_text(json.dumps({"one-s0": row}))
    text = cures_page.page(tmp_path / "results.json")
    assert "2 seeds" in text
    assert text.index("### Activation: 20 sigmoids") < text.index("### Judge half")
    assert "1 of 1" in text
