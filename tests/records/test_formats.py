"""Which zeros of a gradient are those of its number format: ledgers made by hand, sizes in decades."""

import math
from dataclasses import replace

import pytest
import torch

from lightning_gradwatch.records import Frame
from lightning_gradwatch.records.codec import decode, encode
from lightning_gradwatch.records.formats import format_end, is_used, narrowest, rounds_away, smallest, zero_share
from tests.reference.records import chain, frame, reading

NOTHING = -math.inf


def stored(ledger, dtype="float16", size=100, start=0.0, scale=1.0):
    """The same ledger in that number format, ``size`` elements everywhere; its loss loses ``start`` decades."""
    loss, *rest = (replace(s, dtype=dtype, size=size) for s in ledger.segments)
    return replace(ledger, segments=(replace(loss, decades=start, size=1), *rest), scale=scale)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64", "float8_e5m2", "float8_e4m3fn"])
def test_the_table_is_torch_s(name):
    info = torch.finfo(getattr(torch, name))
    flushed = name in ("bfloat16", "float32", "float64")  # below the smallest normal number some processors flush
    expected = math.log10(info.smallest_normal) + (0 if flushed else math.log10(info.eps))
    assert smallest(name) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [(["float32", "float16"], "float16"), (["float64", "bfloat16"], "bfloat16"), (["", "int9"], ""), ([], "")],
    ids=["autocast", "bfloat16", "unknown", "none"],
)
def test_narrowest(dtypes, expected):
    assert narrowest(dtypes) == expected


@pytest.mark.parametrize(
    ("ledger", "ends"),
    [
        (stored(chain(-0.2, NOTHING, 0.0), start=-6.0), True),
        (stored(chain(-0.2, NOTHING, 0.0), start=-2.0), False),
        (stored(chain(-0.2, NOTHING, 0.0), "bfloat16", start=-6.0), False),
        (stored(chain(-0.2, NOTHING, 0.0), "float32", start=-38.0), True),
        (stored(chain(-0.2, NOTHING, 0.0), "", start=-6.0), False),
        (stored(chain(-0.2, NOTHING, 0.0), size=0, start=-6.0), False),
        (stored(chain(*[-0.6] * 7, NOTHING, 0.0), start=-1.7), True),
        (stored(chain(*[-0.6] * 7, NOTHING, 0.0), "float32", start=-1.7), False),
        (stored(chain(-0.2, -0.2), start=-6.0), True),
        (stored(chain(-0.2, -0.2), start=-4.0), False),
        (stored(chain(-0.2, NOTHING, 0.0), start=-6.0, scale=2.0**16), False),
        (stored(chain(-0.2, NOTHING, 0.0), start=-1.0, scale=2.0**-17), True),
        (stored(chain(-0.2, math.nan, 0.0), start=-3.0), False),
    ],
    ids=[
        "small everywhere, then zero",
        "zero far above the end",
        "bfloat16 reaches further",
        "float32 ends as well",
        "format unknown",
        "size unknown",
        "faded to the end",
        "faded, then cut off",
        "near the end",
        "small, but far from it",
        "lifted by its scale",
        "pressed down by its scale",
        "broken",
    ],
)
def test_whose_zero_it_is(ledger, ends):
    assert (format_end(ledger) is not None) is ends


def test_hand_worked():
    """Enters at 10^-6 in 100 elements: 10^-7 each, 0.2 decades above 6e-8; the network loses 0.2 before the zero."""
    end = format_end(stored(chain(-0.2, NOTHING, 0.0), start=-6.0))
    assert (end.dtype, end.is_zero, end.in_loss) == ("float16", True, False)
    assert (end.entered, end.lost) == pytest.approx((-7.0, 0.2))
    assert end.room == pytest.approx(-7.2 + 24 * math.log10(2))
    assert end.best == pytest.approx(-7.0 + 24 * math.log10(2))
    assert end.taken == pytest.approx(24 * math.log10(2) - 0.2 - end.room)


def test_a_zero_before_the_network():
    """1e-6 over a batch of 64: nothing is left of it behind the loss."""
    ledger = chain(-0.2, -0.2)
    loss = replace(ledger.segments[0], dtype="float16", size=1)
    dead = tuple(replace(s, decades=0.0, dtype="float16", size=64) for s in ledger.segments[1:])
    before = (replace(loss, decades=-6.0), replace(loss, decades=NOTHING))
    end = format_end(replace(ledger, segments=(*before, *dead)))
    assert (end.is_zero, end.in_loss, end.lost, end.entered) == (True, True, 0.0, -6.0)
    assert format_end(replace(ledger, segments=(replace(loss, decades=NOTHING), *dead))) is None  # the loss times 0


def test_zero_share_counts_elements():
    assert zero_share(frame(0, parameters=(reading("a", 0.0, size=3), reading("b", 1.0, size=1)))) == 0.75
    assert zero_share(frame(0, parameters=(reading("a", None),))) == 0.0


@pytest.mark.parametrize(
    ("update", "dtype", "fields", "expected"),
    [
        (0.0, "bfloat16", {"rates": (0.1,)}, True),
        (1e-3, "bfloat16", {"rates": (0.1,)}, False),
        (0.0, "float32", {"rates": (0.1,)}, False),
        (0.0, "bfloat16", {"rates": (0.0,)}, False),
        (0.0, "bfloat16", {"rates": (0.1,), "skipped": True}, False),
    ],
    ids=["rounded away", "moved", "fine format", "rate 0", "skipped"],
)
def test_updates_that_round_away(update, dtype, fields, expected):
    one = frame(0, parameters=(reading("a", 1.0, update=update, dtype=dtype),), **fields)
    assert rounds_away(one) is expected


def test_steps_without_known_rates_are_not_used():
    assert not is_used(frame(0))


def test_records_of_an_older_version_have_no_formats():
    ledger = stored(chain(-0.2, NOTHING, 0.0), start=-6.0, scale=2.0)
    data = encode(frame(0, ledger))
    del data["ledgers"][0]["scale"]
    for item in data["ledgers"][0]["segments"]:
        del item["dtype"], item["size"]
    [old] = decode(Frame, data).ledgers
    assert (old.scale, old.segments[1].dtype, old.segments[1].size) == (1.0, "", 0)
    assert format_end(old) is None
    assert decode(Frame, encode(frame(0, ledger))).ledgers == (ledger,)
