"""The arithmetic of cures, by hand."""

import curing
import pytest
import summary


def row(name="one", *, bug="", causes=("depth",), half="develop", health="sick", **arms):
    """A row of a fit whose arms have a score, or a dict of their own."""
    full = {arm: value if isinstance(value, dict) else {"score": value} for arm, value in arms.items()}
    return {"name": name, "bug": bug, "causes": causes, "half": half, "health": health, "arms": full}


def test_cured_is_95_percent_of_the_twin():
    assert curing.cured(0.95, 1.0)
    assert not curing.cured(0.9499, 1.0)
    assert not curing.cured(None, 1.0)
    assert not curing.cured(0.0, 0.0)  # of a twin that learnt nothing
    assert not curing.cured(-2.0, -2.0)


def test_curable_is_what_has_no_bug_and_something_to_gain():
    assert curing.curable(row(nothing=0.1, twin=0.9))
    assert curing.curable(row(nothing="-inf", twin=0.5))
    assert not curing.curable(row(nothing=0.1, twin=0.9, bug="forward detaches."))
    assert not curing.curable(row(nothing=0.9, twin=0.9))
    assert not curing.curable(row(nothing=0.1, twin={"error": "TimeoutError"}))


def test_the_table_counts_the_curable_that_an_arm_ran_on():
    cost = {"cpu": 2.0, "steps": 100}
    rows = [
        row(nothing={"score": 0.1, **cost}, twin=1.0, heal={"score": 0.96, "cpu": 3.0, "steps": 130}),
        row(nothing={"score": 0.1, **cost}, twin=1.0, heal={"score": 0.5, "cpu": 2.0, "steps": 110}),
        row(nothing={"score": 0.1, **cost}, twin=1.0, heal={"error": "ValueError"}),
        row(nothing={"score": 0.1, **cost}, twin=1.0),
        row(nothing={"score": 1.0, **cost}, twin=1.0, heal={"score": 1.0, "cpu": 9.0, "steps": 900}),
    ]
    scores = curing.score(rows, "heal")
    assert scores["fits"] == 3
    assert scores["cured"] == pytest.approx(1 / 3)
    assert scores["cpu, median"] == 1.25
    assert scores["cpu, mean"] == 1.25
    assert scores["steps, mean"] == pytest.approx(1.2)
    assert curing.score(rows, "random") == {
        **{"fits": 0, "cured": None, "of the oracle's": None},
        **dict.fromkeys(summary.COLUMNS),
    }


def test_what_the_oracle_does_not_cure_is_counted_apart():
    rows = [
        row(nothing=0.1, twin=1.0, oracle=0.97, heal=0.97),
        row(nothing=0.1, twin=1.0, oracle=0.97, heal=0.2),
        row(nothing=0.1, twin=1.0, oracle=0.3, heal=0.2),
    ]
    assert curing.score(rows, "heal")["cured"] == pytest.approx(1 / 3)
    assert curing.score(rows, "heal")["of the oracle's"] == 0.5


def test_harm_is_another_weight_and_worse_is_less_than_95_percent_of_its_own_score():
    alone = {"score": 0.9, "weights": "a"}
    assert curing.harmed(row(nothing=alone, heal={"score": 0.9, "weights": "a"})) == ""
    assert curing.harmed(row(nothing=alone, heal={"score": 0.9, "weights": "b"})) == "other weights"
    by_chance = {**alone, "same again": False}
    assert curing.harmed(row(nothing=by_chance, heal={"score": 0.9, "weights": "b"})) == ""
    worse = row(nothing=alone, heal={"score": 0.8, "weights": "b"})
    assert curing.harmed(worse) == "other weights, and it does worse"
    assert curing.harmed(row(nothing=alone, heal={"error": "ValueError: x"})) == "ValueError: x"


def test_the_report_names_what_heal_did_not_cure_and_what_it_harmed():
    rows = [
        row("cured-s0", nothing=0.1, twin=1.0, heal=0.99, random=0.2),
        row("missed-s0", nothing=0.1, twin=1.0, heal={"score": 0.4, "did": ["3: no_cure"]}, random=0.97),
        row("bug-s0", bug="forward detaches.", nothing=0.1, twin=1.0, heal=0.1),
        row("well-s0", nothing=0.99, twin=1.0, heal=0.99),
        row(
            "fine-s0",
            health="healthy",
            nothing={"score": 0.9, "weights": "a"},
            heal={"score": 0.3, "weights": "b"},
        ),
    ]
    text = summary.report(rows)
    assert "4 sick fits; 1 have a bug" in text
    assert "1 reach 95 %" in text
    assert "2 are curable" in text
    assert "- missed-s0: nothing 0.10 heal 0.40 random 0.97 twin 1.00. 3: no_cure" in text
    assert "cured-s0" not in text
    assert "1 healthy fits: 0 are bit for bit" in text
    assert "- fine-s0: other weights, and it does worse" in text
    line = next(line for line in text.splitlines() if line.startswith("| depth"))
    assert [cell.strip() for cell in line.split("|")[1:-1]] == ["depth", "0 of 2", "1 of 2", "1 of 2", "2 of 2"]


def test_groups_come_with_the_largest_first():
    assert list(curing.by(["a1", "b1", "b2"], lambda name: name[0])) == ["b", "a"]
