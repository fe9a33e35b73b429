"""The arithmetic of the table."""

import pytest
import scoring


def alarm(kind="vanishing", rang=2, layers=("net.0",), cause="activation"):
    return {
        "kind": kind,
        "severity": "warning",
        "rang": rang,
        "layers": list(layers),
        "causes": [[cause, "GW101", 1.0]],
    }


def row(name="one", health="sick", found=(), *, onset=0, peers=None, confirmed=True):
    return {
        "name": name,
        "health": health,
        "gradwatch": list(found),
        "onset": onset,
        "kinds": ["vanishing"] if health == "sick" else [],
        "causes": ["activation", "depth"] if health == "sick" else [],
        "places": {"vanishing": ["net.0", "net.1"]} if health == "sick" else {},
        "peers": peers or {},
        "confirmed": confirmed,
        "reason": "a reason",
    }


def test_shares_are_of_the_fits_that_they_speak_of():
    rows = [
        row("hit", found=[alarm()]),
        row("wrong", found=[alarm("exploding", 30, ("net.7",), "data"), alarm()]),
        row("missed", found=[alarm(rang=None)]),
        row("calm", "healthy", [alarm(rang=None)]),
        row("rang", "healthy", [alarm()]),
        row("mild", "mild", []),
    ]
    got = scoring.score(rows)
    assert [got[key] for key in ("sick", "healthy", "mild")] == [3, 2, 1]
    assert (got["recall"], got["false alarms"], got["mild that rang"]) == (pytest.approx(2 / 3), 0.5, 0.0)
    assert got["right kind"] == got["right first cause"] == got["right place"] == 0.5
    assert got["precision by kind"] == {"exploding": (0, 1), "vanishing": (2, 3)}
    assert got["causes"] == {"activation": {"activation": 1, "data": 1}}
    assert {sort: [said.split(":")[0] for said in names] for sort, names in got["mistakes"].items()} == {
        "wrong kind": ["wrong"],
        "wrong first cause": ["wrong"],
        "wrong place": ["wrong"],
        "missed": ["missed"],
        "healthy that rang": ["rang"],
    }


def test_another_right_cause_stands_on_the_diagonal():
    assert scoring.confusion([row(found=[alarm(cause="depth")])]) == {"activation": {"activation": 1}}


def test_the_delay_counts_from_the_onset():
    rows = [row("soon", found=[alarm(rang=130)], onset=120), row("late", found=[alarm(rang=141)], onset=120)]
    early = row("early", found=[alarm(rang=5)], onset=120)
    assert [scoring.delay(one) for one in [*rows, early]] == [10, 21, 0]
    got = scoring.score(rows)
    assert (got["delay, median"], got["in time"]) == (15.5, 0.5)
    assert scoring.mistakes([*rows, early]) == {
        "late": ["late: 21 steps, not 20"],
        "before its onset": ["early: 5, not 120"],
    }


@pytest.mark.parametrize(
    ("layer", "places", "right"),
    [
        ("net.0", ["net.0"], True),
        ("net.0.linear", ["net.0"], True),
        ("net", ["net.0"], True),
        ("net.10", ["net.1"], False),
        ("", ["net.1"], False),
        ("", [""], True),
        ("anything", [], True),
    ],
)
def test_a_place_is_right_within_or_around_the_sick_one(layer, places, right):
    assert scoring.right_place({**row(found=[alarm(layers=[layer])]), "places": {"vanishing": places}}) is right


def test_peers_are_scored_on_the_fits_that_they_watched():
    def rang(*steps, cause=None):
        return {"peer": {"alarms": [[step, "vanishing"] for step in steps], "cause": cause}}

    rows = [row(peers=rang(4, 9, cause="depth")), row(peers=rang()), row(), row(health="healthy", peers=rang(0))]
    assert scoring.score_peers(rows) == {
        "peer": {
            "recall": 0.5,
            "false alarms": 1.0,
            "mild that rang": None,
            "right first cause": 1.0,
            "delay, median": 4,
            "in time": 1.0,
        }
    }


def test_a_label_that_does_not_hold_is_named():
    assert scoring.mistakes([row(found=[alarm()], confirmed=False)]) == {"label not confirmed": ["one: a reason"]}
