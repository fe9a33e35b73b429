"""What every remedy keeps, whichever there are: found by scanning, none is named in here."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lightning_gradwatch.diagnose import rules
from lightning_gradwatch.records import CauseKind, Kind
from lightning_gradwatch.records.codec import decode, encode
from lightning_gradwatch.remedies import prescribe, remedies
from lightning_gradwatch.remedies.base import RemedyRule
from tests.remedies.findings import HE, cause, finding, stack, with_layers

NETWORKS = {
    "sigmoid": stack("Sigmoid"),
    "tanh": stack("Tanh"),
    "relu": stack("ReLU"),
    "relu he": stack("ReLU", std=HE),
    "selu": stack("SELU"),
    "cnn": stack("ReLU", kind="Conv2d"),
    "functional": stack(None),
    "normalised": with_layers(stack("Sigmoid"), "BatchNorm1d"),
    "rnn": with_layers(stack(None, depth=1), "RNN"),
    "lstm": with_layers(stack(None, depth=1), "LSTM"),
    "text": with_layers(stack("ReLU"), "Embedding", "MultiheadAttention"),
    "unknown weights": stack("Sigmoid", std=None),
    "empty": stack(None, depth=0),
}
# Rules whose causes ask for other words than those of their kind.
BY_CODE = {
    "data": ["GW312"],
    "disconnected": ["GW212"],
    "learning_rate": ["GW603", "GW604"],
    "loss": ["GW612"],
    "normalization": ["GW402", "GW403"],
}
EVERY = pytest.mark.parametrize("rule", remedies(), ids=lambda rule: rule.name)


def advices(rule):
    """All that a remedy says, over every kind of cause, finding and network of this file."""
    for anatomy in NETWORKS.values():
        for kind in CauseKind:
            for sickness in Kind:
                for layers in (("0",), ("rnn",), ()):
                    found = finding(cause(kind, 0.75, Sigmoid=19), cause("data", 0.25), kind=sickness, layers=layers)
                    advice = rule.weigh(found, anatomy)
                    if advice is not None:
                        yield found, anatomy, advice
        for kind, codes in BY_CODE.items():
            for code in codes:
                told = replace(cause(kind, 0.75), code=code)
                for sickness in Kind:
                    found = finding(told, cause("data", 0.25), kind=sickness)
                    advice = rule.weigh(found, anatomy)
                    if advice is not None:
                        yield found, anatomy, advice


def test_there_is_one_file_for_each():
    files = {inspect.getfile(type(rule)) for rule in remedies()}
    assert len(files) == len(remedies()) >= 8
    assert len({rule.name for rule in remedies()}) == len(remedies())


@EVERY
def test_says_what_it_is_and_where_it_comes_from(rule: RemedyRule):
    assert rule.name == type(rule).__name__
    assert Path(inspect.getfile(type(rule))).stem == re.sub(r"(?<=[a-z])(?=[A-Z])", "_", rule.name).lower()
    assert type(rule).__doc__.strip().splitlines()[0].endswith(".")
    assert type(rule).weigh.__doc__.strip().endswith(".")
    assert re.search(r"\((19|20)\d\d\)", rule.source), "a source has a year"
    assert rule.title[0].isalpha()


@EVERY
def test_cures_something_and_says_why(rule: RemedyRule):
    assert rule.cures
    for kind, cure in rule.cures.items():
        assert isinstance(kind, CauseKind)
        assert 0 < cure.fit <= 1
        assert cure.why.endswith(".")
        assert len(cure.why) > 20


@EVERY
def test_advice_is_whole_sentences(rule: RemedyRule):
    said = list(advices(rule))
    assert said, "there is a case for which it is advised"
    for found, _, advice in said:
        assert 0 <= advice.fit <= 1
        assert advice.cause in rule.cures
        assert advice.cause in [one.kind for one in found.causes]
        assert len(advice.advice) <= 88, "one line of the console block"
        for sentence in (advice.advice, advice.reason):
            assert len(sentence) > 20
            assert sentence.endswith(".")
            assert not re.search(r"[{}]|%[sdr]|None|nan|  ", sentence), sentence
        assert "75 %" in advice.reason or "25 %" in advice.reason, "a number of this finding"


@EVERY
def test_is_silent_without_a_cause_that_it_cures(rule: RemedyRule):
    others = [kind for kind in CauseKind if kind not in rule.cures]
    assert all(rule.weigh(finding(cause(k)), a) is None for k in others for a in NETWORKS.values())
    assert rule.weigh(finding(), NETWORKS["sigmoid"]) is None


@EVERY
def test_gives_the_same_answer_again(rule: RemedyRule):
    assert list(advices(rule)) == list(advices(type(rule)()))


def test_every_kind_of_cause_has_a_remedy():
    """For the kinds of finding that its rules explain, in the network at hand, whatever else is there."""
    for rule in rules():
        for sickness in rule.findings:
            found = finding(replace(cause(str(rule.kind)), code=rule.code), kind=sickness)
            assert prescribe(found, NETWORKS["relu"]), (rule.code, sickness)


def test_a_prescription_survives_json_and_names_its_cures():
    for found, anatomy, _ in (item for rule in remedies() for item in advices(rule)):
        for remedy in prescribe(found, anatomy):
            assert decode(type(remedy), encode(remedy)) == remedy
            assert remedy.cures
            assert set(remedy.cures) <= {one.kind for one in found.causes}


def test_advice_needs_no_torch():
    code = (
        "import sys; from lightning_gradwatch.remedies import prescribe, remedies; remedies();"
        "sys.exit('torch' in sys.modules or 'lightning' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0
