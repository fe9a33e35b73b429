import math

import pytest

from lightning_gradwatch.records import Kind
from lightning_gradwatch.report import words
from tests.report.samples import CAUSES, HOSTILE


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_a_title_of_its_own(kind):
    assert words.TITLES[kind]
    assert len(set(words.TITLES.values())) == len(Kind)


RATIOS = {
    "one": (0.0, "1"),
    "a half": (math.log10(0.5), "0.5"),
    "a thousandth": (-2.9999, "0.001"),
    "below a thousandth": (-3.3, "5.0e-4"),
    "rounds up to the next power": (-3.001, "1.0e-3"),
    "hand-worked: 10^-16.2 = 6.3e-17": (-16.2, "6.3e-17"),
    "beyond a float": (-400.5, "3.2e-401"),
    "thousands": (3.5, "3,162"),
    "beyond a float upwards": (400.0, "1.0e400"),
    "nothing": (-math.inf, "0"),
    "infinity": (math.inf, "inf"),
    "unknown": (math.nan, "?"),
}


@pytest.mark.parametrize(("decades", "said"), RATIOS.values(), ids=RATIOS)
def test_ratio(decades, said):
    assert words.ratio(decades) == said


PARTS = {
    "all": (0.01, "all of"),
    "half": (-0.301, "50 % of"),
    "nearly all": (-0.03, "93 % of"),
    "almost all never rounds to 1e+02": (-0.0201, "95 % of"),
    "small": (-16.2, "6.3e-17 of"),
    "more": (2.0, "100 times"),
    "nothing": (-math.inf, "nothing of"),
    "infinite": (math.inf, "an infinite multiple of"),
    "unknown": (math.nan, "an unknown part of"),
}


@pytest.mark.parametrize(("decades", "said"), PARTS.values(), ids=PARTS)
def test_part(decades, said):
    assert words.part(decades) == said


def test_part_never_speaks_scientific_percent():
    said = [words.part(-i / 1000) for i in range(3000)]
    assert not [text for text in said if "e" in text.replace("the", "")]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.005, 0.5, 1.0, math.nan])
def test_percent_is_zero_only_for_zero(share):
    assert (words.percent(share) == "0 %") == (share == 0.0)


def test_plain_leaves_nothing_invisible():
    said = words.plain(HOSTILE + "\u202e\u200b\r\t\0")
    assert said.isprintable()
    assert "\\x1b[31m\\nline two" in said


@pytest.mark.parametrize("name", ["net.0", "é" * 8, "層.重み"])
def test_plain_leaves_what_can_be_seen(name):
    assert words.plain(name) == name


@pytest.mark.parametrize("width", [5, 10, 41, 64])
def test_short_keeps_both_ends(width):
    name = "encoder." + "x" * 80 + ".head"
    said = words.short(name, width)
    assert len(said) == width
    assert said[0] == "e"
    assert said[-1] == "d"
    assert "..." in said


def test_short_names_the_nameless():
    assert words.short("") == "(unnamed)"


SOMES = {
    "none": ((), None, "the whole network"),
    "one": (("a",), None, "a (1 layer)"),
    "one of many": (("a",), 20, "a (1 of 20 layers)"),
    "a total that cannot be is not said": (("a", "b"), 1, "a, b (2 layers)"),
    "a thousand": (tuple(f"n{i}" for i in range(1000)), 1234, "n0, n1, n2, ... (1,000 of 1,234 layers)"),
}


@pytest.mark.parametrize(("layers", "total", "said"), SOMES.values(), ids=SOMES)
def test_some(layers, total, said):
    assert words.some(layers, total, 40) == said


def test_some_keeps_one_name_however_long():
    assert words.some(("x" * 300, "b"), None, 20) == f"{words.short('x' * 300)}, ... (2 layers)"


def test_wrap_clips_with_three_dots():
    lines = words.wrap("word " * 50, 30, 2)
    assert len(lines) == 2
    assert lines[-1].endswith(" ...")
    assert max(map(len, lines)) <= 30


def test_shares():
    assert words.shares(CAUSES) == "71 % activation, 29 % initialization"
