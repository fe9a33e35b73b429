import dataclasses
import json
import math

import numpy as np
import pytest

from lightning_gradwatch.errors import UnreadableRecord
from lightning_gradwatch.records import profile
from lightning_gradwatch.records.flow import flow_by_layer
from lightning_gradwatch.sinks.packed import pack, unpack
from tests.sinks.samples import CONFIG, HOSTILE, anatomy, bare, changed, frame, ledger, reading, segment

NUMBERS = ("flow", "activation", "linear", "norm", "other", "slope", "dead", "rms", "update")
ROUNDING = {"rms": 0.02, "update": 0.02}  # a float16 of a log10 is right to 2 % down to 1e-30


def made_of(*segments, target="z", parameters=()):
    whole = dataclasses.replace(ledger(), segments=segments, target=f"{target}.weight", target_layer=target)
    return frame(ledgers=(whole,), parameters=parameters)


def there_and_back(made, of=None):
    packed = pack(made, of, CONFIG)
    return unpack(packed.matrix, packed.metadata, made.step)


def rows(made):
    return profile(made, made.ledgers[0])


FRAMES = {
    "a chain": frame(3),
    "500 layers": frame(layers=500, decades=-0.01),
    "an empty ledger": made_of(),
    "one layer": made_of(segment("z", -1.0), parameters=(reading("z.weight", 1.0),)),
    "norms, pools and blocks": made_of(
        segment("h", 0.1),
        segment("b", -0.7, "pool"),
        segment("b", 1.2, "norm"),
        segment("a", -0.3, "activation", slope=0.4),
        segment("a", -0.2, "block", modules=("a.0", "a.1")),
    ),
    "an activation that has weights": made_of(segment("h", 0.1), segment("a", -1.0, "activation", modules=("a",))),
    "a layer that loses nothing": made_of(segment("h", 0.0), segment("a", 0.0), segment("z", 0.0)),
    "a layer used twice": made_of(segment("a", -0.1), segment("b", -0.2), segment("a", -0.3), segment("b", -0.4)),
    "a dead path": made_of(segment("h", 0.1), segment("a", -math.inf), segment("z", math.nan)),
    "dies and overflows": made_of(segment("h", math.inf), segment("a", -math.inf)),
    "tiny, zero and endless gradients": made_of(
        segment("c", 0.0),
        segment("b", -36.0),
        segment("a", -0.5),
        parameters=(
            reading("c.w", 1e30),
            reading("b.w", 1e-38),
            reading("a.w", 0.0, update=0.0),
            reading("z.w", math.inf),
        ),
    ),
    "no gradient here and there": made_of(
        segment("c", 0.0), segment("b", -1.0), parameters=(reading("c.w", 1.0, update=None), reading("b.w", None))
    ),
    "hostile names": made_of(segment(HOSTILE, -1.0), segment("", -2.0), parameters=(reading(f"{HOSTILE}.w", 1.0),)),
}


@pytest.mark.parametrize("made", FRAMES.values(), ids=FRAMES.keys())
def test_the_profile_survives_within_the_rounding_of_a_float16(made):
    again = there_and_back(made)
    assert again.step == made.step
    for before, after in zip(rows(made), rows(again), strict=True):
        assert after.layer == before.layer
        for name in NUMBERS:
            was, now = getattr(before, name), getattr(after, name)
            assert (was is None) == (now is None), name
            if was is not None:
                rounding = ROUNDING.get(name, 1e-3)
                assert now == pytest.approx(was, rel=rounding, abs=rounding, nan_ok=True), (before.layer, name)


def test_hand_worked_matrix():
    packed = pack(made_of(segment("h", 0.25), segment("a", -2.0, "activation", slope=0.5), target="a"), None, {})
    content = json.loads(packed.metadata)
    column = dict(zip((stat["name"] for stat in content["stats"]), packed.matrix[:, 1].tolist(), strict=True))
    assert np.isnan([column.pop(name) for name in ("rms", "update", "dead")]).all()  # there are no readings
    assert column == {"flow": -1.75, "activation": -2.0, "linear": 0.0, "norm": 0.0, "other": 0.0, "slope": 0.5}


@pytest.mark.parametrize(
    ("norm", "stored"),
    [(1e-30, -30.0), (0.0, -math.inf), (math.inf, math.inf), (math.nan, math.inf), (None, math.nan)],
    ids=["far below float16", "zero", "overflow", "not a number", "no gradient"],
)
def test_norms_are_stored_as_their_logarithm(norm, stored):
    packed = pack(made_of(segment("z", 0.0), parameters=(reading("z.weight", norm, size=1),)), None, {})
    names = [stat["name"] for stat in json.loads(packed.metadata)["stats"]]
    assert packed.matrix[names.index("rms"), 0] == pytest.approx(stored, rel=1e-3, nan_ok=True)


def test_a_gradient_that_is_not_finite_never_comes_back_as_no_gradient():
    again = there_and_back(made_of(segment("z", 0.0), parameters=(reading("z.weight", math.nan),)))
    assert again.parameters[0].nonfinite == 1
    assert again.parameters[0].norm == math.inf


@pytest.mark.parametrize("made", [bare(), frame(ledgers=()), frame(skipped=True)], ids=["bare", "no ledger", "skipped"])
def test_nothing_to_pack(made):
    assert pack(made, anatomy(), CONFIG) is None


def test_what_the_segments_are_made_of_comes_back():
    before, after = frame().ledgers[0].body, there_and_back(frame()).ledgers[0].segments
    for field in ("label", "layer", "modules", "operations", "family", "reused"):
        assert [getattr(s, field) for s in after] == [getattr(s, field) for s in before]
    positions = [s.position for s in after]
    assert positions == sorted(positions)
    assert (positions[0], positions[-1]) == (0.0, 1.0)


def test_the_ledger_that_comes_back_adds_up():
    whole = there_and_back(frame()).ledgers[0]
    assert whole.decades == whole.end - whole.start == pytest.approx(-1.0)
    assert (whole.name, whole.target, whole.target_layer) == ("loss", "net.0.weight", "net.0")


def test_a_hostile_layer_size_is_only_a_number():
    layers = json.loads(changed())["layers"]
    metadata = changed(layers=[layer | {"params": 10**400} for layer in layers])
    assert all(math.isfinite(r.norm) for r in unpack(pack(frame(), anatomy(), {}).matrix, metadata, 0).parameters)


def test_an_encoding_of_a_newer_version_is_said():
    stats = json.loads(changed())["stats"]
    metadata = changed(stats=[{**stat, "enc": "zigzag"} if i == 0 else stat for i, stat in enumerate(stats)])
    with pytest.raises(UnreadableRecord, match=r"the encoding 'zigzag' of '.*' is unknown to this version"):
        unpack(pack(frame(), anatomy(), {}).matrix, metadata, 0)


def networks():
    import torch
    from torch import nn

    torch.manual_seed(0)
    picture, table, series = torch.randn(4, 1, 8, 8), torch.randn(4, 8), torch.randn(4, 5, 8)
    convolutions = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.Tanh(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip
    shared = nn.Linear(8, 8)
    encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    yield "plain", nn.Sequential(nn.Linear(8, 8), nn.Sigmoid(), nn.PReLU(), nn.LayerNorm(8), nn.Linear(8, 3)), table
    yield "convolutions", convolutions, picture
    yield "shared weights", nn.Sequential(shared, nn.Tanh(), shared, nn.Tanh(), shared), table
    yield "attention", nn.Sequential(nn.Linear(8, 8), encoder, nn.Linear(8, 3)), series


@pytest.mark.parametrize("name", ["plain", "convolutions", "shared weights", "attention"])
def test_real_ledgers_keep_their_flow(name):
    from lightning_gradwatch.measure.ledger import open_ledger

    network, batch = next((network, batch) for called, network, batch in networks() if called == name)
    loss = network(batch).square().mean()
    opened = open_ledger(loss.grad_fn, {id(p): n for n, p in network.named_parameters()})
    loss.backward()
    opened.close()
    made = frame(ledgers=(opened.finish([float(value) for value in opened.pending()]),), parameters=())
    again = there_and_back(made)
    assert made.ledgers[0].decades != 0
    assert [(r.layer, r.flow) for r in rows(again)] == [(r.layer, pytest.approx(r.flow, abs=0.01)) for r in rows(made)]
    assert flow_by_layer(again.ledgers[0]) == pytest.approx(flow_by_layer(made.ledgers[0]), abs=0.01)
