import pytest

from lightning_gradwatch.records import Forecast
from lightning_gradwatch.report import Report
from lightning_gradwatch.report.forecast import forecasts, sentence
from tests.report.samples import HOSTILE, healthy

INF = float("inf")
SAID = {
    "without a spread": (
        Forecast(layer="a.b", decades=-3.04, batches=1),
        "At the start 10^-3.0 of the head's gradient reaches a.b (1 batch).",
    ),
    "some layers kept": (
        Forecast(layer="a", decades=-3.0, batches=4, draws=(-1.0, -2.0), kept=("b", "c")),
        "At the start 10^-3.0 of the head's gradient reaches a (4 batches); over 2 re-initialisations 10^-2.0 to "
        "10^-1.0, median 10^-1.5 (2 layers left as they are).",
    ),
    "one layer kept": (
        Forecast(layer="a", decades=-3.0, batches=4, draws=(-1.0,), kept=("b",)),
        "At the start 10^-3.0 of the head's gradient reaches a (4 batches); over 1 re-initialisation 10^-1.0 to "
        "10^-1.0, median 10^-1.0 (1 layer left as it is).",
    ),
    "nothing arrives": (
        Forecast(layer="a", decades=-INF, batches=1),
        "At the start nothing of the head's gradient reaches a (1 batch).",
    ),
    "too much": (
        Forecast(layer="a", decades=INF, batches=1),
        "At the start an infinite multiple of the head's gradient reaches a (1 batch).",
    ),
    "unknown": (
        Forecast(layer="a", decades=float("nan"), batches=1),
        "At the start an unknown part of the head's gradient reaches a (1 batch).",
    ),
}


@pytest.mark.parametrize(("forecast", "text"), SAID.values(), ids=SAID)
def test_it_is_one_sentence(forecast, text):
    assert sentence(forecast) == text


def test_every_view_tells_it():
    report = Report(frames=healthy().frames, forecast=SAID["some layers kept"][0])
    for view in (str(report), report.to_markdown(), report.to_html()):
        assert "over 2 re-initialisations" in " ".join(view.split())
        assert "re-initialisation" not in str(healthy())
    assert forecasts(healthy()) == []


def test_it_survives_a_file(tmp_path):
    report = Report(forecast=SAID["some layers kept"][0])
    report.save(tmp_path / "r.jsonl")
    assert Report.load(tmp_path / "r.jsonl") == report


def test_hostile_names_stay_names():
    report = Report(forecast=Forecast(layer=HOSTILE, decades=-1.0, batches=1))
    assert "<script" not in report.to_html().partition("</style>")[2]
    assert "</script" not in report.to_markdown()
    assert "\x1b" not in str(report)
