"""Ranks: who they are, and what they agree on."""

import types

import torch

from lightning_gradwatch import _lightning


def fake_trainer(world_size=1, **strategy):
    return types.SimpleNamespace(world_size=world_size, strategy=types.SimpleNamespace(root_device="cpu", **strategy))


def test_ranks_decide_together():
    strategy = types.SimpleNamespace(reduce_boolean_decision=lambda decision, all: not decision)
    assert _lightning.any_rank(types.SimpleNamespace(world_size=1, strategy=strategy), True)
    assert not _lightning.any_rank(types.SimpleNamespace(world_size=2, strategy=strategy), True)


def test_ranks_are_those_of_torch_distributed(monkeypatch):
    assert _lightning.ranks(fake_trainer()) == {"size": 1}
    assert _lightning.ranks(fake_trainer(8)) == {"size": 1, "mute": True}
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 8)
    assert _lightning.ranks(fake_trainer(8)) == {"size": 8, "losses": None, "device": "cpu", "mute": False}
    known = _lightning.ranks(fake_trainer(8, distributed_sampler_kwargs={"num_replicas": 4, "rank": 1}))
    assert known["losses"] == 4


def test_ranks_share_a_mean_and_what_the_first_one_has():
    strategy = {
        "reduce": lambda value, reduce_op: {"mean": value / 2}[reduce_op],
        "broadcast": lambda value, src: f"{value} of rank {src}",
    }
    alone, two = fake_trainer(), fake_trainer(2, **strategy)
    assert (_lightning.mean_over_ranks(alone, torch.tensor(3.0)), _lightning.from_rank_zero(alone, "x")) == (3.0, "x")
    assert _lightning.mean_over_ranks(two, torch.tensor(3.0)) == 1.5
    assert _lightning.from_rank_zero(two, "x") == "x of rank 0"


def test_processes_without_a_trainer_vote(monkeypatch):
    assert _lightning.is_rank_zero()
    assert [_lightning.any_process(vote, "cpu") for vote in (True, False)] == [True, False]
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    assert not _lightning.is_rank_zero()
    for others in (0, 1):
        monkeypatch.setattr(torch.distributed, "all_reduce", lambda votes, others=others: votes.add_(others))
        assert [_lightning.any_process(vote, "cpu") for vote in (True, False)] == [True, bool(others)]
