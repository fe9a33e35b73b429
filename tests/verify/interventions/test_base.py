"""What an intervention is given and what it answers."""

from collections import namedtuple

import torch
from torch import nn

from lightning_gradwatch.verify.interventions.base import done, floats
from tests.verify.proofs import Functional, scene

Pair = namedtuple("Pair", "a b")


def test_floats_keeps_every_structure_and_leaves_whole_numbers_alone():
    batch = {"x": Pair([torch.ones(2)], (torch.ones(1), "text")), "y": torch.tensor([3])}
    changed = floats(batch, lambda x: x * 2)
    assert isinstance(changed["x"], Pair)
    assert changed["x"].a[0].tolist() == [2, 2]
    assert changed["x"].b == (torch.tensor([2.0]), "text")
    assert changed["y"] is batch["y"]
    assert batch["x"].a[0].tolist() == [1, 1]


def test_a_scene_knows_the_way_down_to_the_worst_layer():
    known = scene(Functional(torch.tanh, depth=4), layers=("layers.1",))
    assert known.on_path == ("head", "layers.3", "layers.2"), "what lies below the worst layer starves nobody above"
    assert known.acting == {"Tanh"}
    assert known.anatomy.layer("layers.1").fan_in == 64


def test_without_a_ledger_there_is_no_way():
    known = scene(nn.Sequential(nn.Linear(64, 10)))
    known.ledger = None
    assert known.path == ()
    assert known.on_path == ()
    assert not known.acting


def test_done_is_told_after_the_step():
    assert done("all of it").told() == "all of it"
