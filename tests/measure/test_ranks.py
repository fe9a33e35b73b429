"""The exchange between ranks, with the all_reduce replaced by a sum over simulated ranks."""

import math

import pytest
import torch

from lightning_gradwatch.measure.ranks import Ranks, Section, Share, Trouble

NAN, INF = math.nan, math.inf


def exchange(by_rank, losses=None, parameters=4):
    """What each rank gets when rank r says ``by_rank[r]``; None for a rank whose watch is off."""
    said = []
    for sections in by_rank:
        _meet(Ranks(len(by_rank), losses, "cpu", parameters, lambda buffer: said.append(buffer.clone())), sections)
    total = torch.stack(said).sum(0)
    results = []
    for sections in by_rank:
        ranks = Ranks(len(by_rank), losses, "cpu", parameters, lambda buffer: buffer.copy_(total))
        results.append((_meet(ranks, sections), ranks.troubles))
    return results


def _meet(ranks, sections):
    ranks.expect()
    if sections is not None:
        return ranks.gather(sections)
    ranks.settle()
    return None


def numbers(*values, structure="one", **how):
    return Section([Share(torch.tensor(values, dtype=torch.float64), **how)], lambda: structure)


def test_alone_a_rank_copies_and_never_talks():
    def reduce(buffer):
        raise AssertionError("talks to nobody")

    ranks = Ranks(reduce=reduce)
    ranks.expect()
    assert ranks.gather([numbers(3.0, 4.0, roots=1, copies=(2, 0)), numbers()]) == [[[3.0, 4.0]], [[]]]
    ranks.settle()
    assert ranks.troubles == []


@pytest.mark.parametrize(
    ("how", "shares", "whole"),
    [
        ({}, [(2.0, INF), (4.0, 1.0)], [3.0, INF]),  # a mean over the ranks
        ({}, [(NAN, 1.0), (4.0, 1.0)], [NAN, 1.0]),  # one rank's nan is everybody's
        ({"roots": 1}, [(5.0, 2.0), (5.0, 2.0)], [5.0, 2.0]),  # every rank has the whole norm
        ({"roots": 2, "copies": (1, 1)}, [(3.0, 1e-38), (4.0, 0.0)], [5.0, 1e-38]),  # slices
        ({"roots": 1, "copies": (1, 1)}, [(3e38, 7.0), (4e38, 0.0)], [5e38, 7.0]),  # a count over slices is a sum
        ({"roots": 2, "copies": (2, 1)}, [(3.0, 3.0)] * 2 + [(4.0, 4.0)] * 2, [5.0, math.sqrt(50)]),  # HSDP 2x2
        ({"roots": 1, "mean": True}, [(3.0,), (4.0,)], [2.5]),  # the gradient of a mean of losses
    ],
)
def test_shares_make_a_whole(how, shares, whole):
    for [found], troubles in exchange([[numbers(*values, **how)] for values in shares]):
        assert found[0] == pytest.approx(whole, rel=1e-12, nan_ok=True)
        assert troubles == []


def test_tensor_parallel_ranks_see_one_loss():
    # 4 ranks, 2 losses; each pair holds the same trunk gradient twice, then slices of it.
    whole = exchange([[numbers(3.0, roots=1, copies=(2,), mean=True)]] * 4, losses=2)[0][0]
    slices = exchange([[numbers(3.0, roots=1, copies=(1,), mean=True)]] * 4, losses=2)[0][0]
    assert whole[0][0] == pytest.approx([3 / math.sqrt(2)])
    assert slices[0][0] == pytest.approx([3.0])


def test_ranks_that_ran_different_graphs_have_no_ledger_in_common():
    parameters = numbers(5.0, roots=1)
    by_rank = [[parameters, numbers(*values, structure=len(values))] for values in [(1.0,), (1.0, 2.0), (1.0,)]]
    for found, troubles in exchange(by_rank):
        assert found == [[[5.0]], None]
        assert troubles == [Trouble.DIFFERENT]


def test_what_follows_a_section_of_another_length_is_not_mistaken():
    by_rank = [[numbers(*[1.0] * n), numbers(7.0)] for n in (1, 2)]
    assert [found for found, _ in exchange(by_rank)] == [[None, None]] * 2


def test_a_rank_whose_watch_is_off_hangs_nobody():
    [(left, troubles), (off, _), (right, _)] = exchange(
        [[numbers(3.0, 8.0, roots=1)], None, [numbers(3.0, 8.0, roots=1)]]
    )
    assert off is None
    assert left == right == [[[3.0, 8.0]]]
    assert troubles == [Trouble.ABSENT]
    [(trunk, _), _] = exchange([[numbers(3.0, roots=1, mean=True)], None])
    assert trunk == [[[3.0]]]


@pytest.mark.parametrize(("how", "losses"), [({"copies": (1,)}, 2), ({"copies": (1,), "mean": True}, 1)])
def test_a_slice_that_is_missing_leaves_no_number(how, losses):
    [(found, troubles), _] = exchange([[numbers(3.0, roots=1, **how)], None], losses=losses)
    assert found == [None]
    assert troubles == [Trouble.INCOMPLETE]


def test_more_numbers_than_agreed_are_left_out_on_all_ranks():
    long = Section([Share(torch.ones(9000))])
    for found, troubles in exchange([[numbers(1.0), long]] * 2):
        assert found == [[[1.0]], None]
        assert troubles == [Trouble.TOO_LONG]


def test_a_meeting_is_attended_once():
    met = []
    ranks = Ranks(2, reduce=lambda buffer: met.append(buffer[0].item()))
    ranks.expect()
    ranks.gather([numbers(1.0)])
    ranks.settle()
    assert met == [1.0]
    ranks.expect()
    ranks.settle()
    ranks.settle()
    assert met == [1.0, 0.0]
