import math

import pytest
import torch
from torch.nn import functional as F

from lightning_gradwatch.measure.attention import openness
from lightning_gradwatch.measure.operations import operation


def read(output):
    node = output.grad_fn
    value = openness(operation(node.name()), node)
    return None if value is None else value.item()


def even(p):
    """One row at a time, in float64; rows with one possible key say nothing."""
    rows = [row[row >= 0] for row in p.double().reshape(-1, p.shape[-1])]
    return [(1 - row.square().sum().item()) / (1 - 1 / len(row)) for row in rows if len(row) > 1]


def mean(values):
    return math.fsum(values) / len(values)


def test_by_hand():
    """p = (1/2, 1/2) is even: 1; (1, 0) is one-hot: 0; (3/4, 1/4): (1 - 10/16) / (1/2) = 3/4."""
    logits = torch.tensor([[0.0, 0.0], [100.0, -100.0], [math.log(3.0), 0.0]], requires_grad=True)
    for i, expected in enumerate([1.0, 0.0, 0.75]):
        assert read(torch.softmax(logits[i], 0)) == pytest.approx(expected, abs=1e-6)
    assert read(torch.softmax(logits, -1)) == pytest.approx(1.75 / 3)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_softmax_equals_the_twin(dim):
    x = (3 * torch.randn(5, 6, 7)).requires_grad_()
    p = torch.softmax(x, dim).detach().movedim(dim, -1)
    assert read(torch.softmax(x, dim)) == pytest.approx(mean(even(p)), rel=1e-5)


def test_many_rows_are_thinned():
    x = (3 * torch.randn(5000, 20)).requires_grad_()
    assert read(torch.softmax(x, -1)) == pytest.approx(mean(even(torch.softmax(x, -1).detach())), rel=0.03)


def test_nothing_to_choose_is_not_known():
    assert read(torch.softmax(torch.ones(3, 1, requires_grad=True), -1)) is None
    assert read(torch.ones(3, 4, requires_grad=True).exp()) is None


def probabilities(q, k, scale=None, mask=None, causal=False):
    """-1 where a key may not be seen."""
    scores = q.double() @ k.double().mT * (q.shape[-1] ** -0.5 if scale is None else scale)
    seen = torch.ones_like(scores, dtype=torch.bool)
    if causal:
        seen = seen.tril()
    if mask is not None:
        seen = seen & (mask if mask.dtype == torch.bool else mask.isfinite())
        scores = scores if mask.dtype == torch.bool else scores + mask
    p = torch.softmax(scores.masked_fill(~seen, -torch.inf), -1)
    return torch.where(seen, p, -1.0)


LENGTH = 6
half = torch.rand(LENGTH, LENGTH, generator=torch.Generator().manual_seed(0)) > 0.4
half[:, 0] = True
MASKS = {
    "plain": {},
    "scale": {"scale": 2.0},
    "causal": {"is_causal": True},
    "hidden keys": {"attn_mask": half},
    "added": {"attn_mask": torch.randn(LENGTH, LENGTH)},
    "of each sample": {"attn_mask": half.expand(2, 1, LENGTH, LENGTH)},
    "padding": {"attn_mask": torch.tensor([True] * 4 + [False] * 2).expand(2, 1, 1, LENGTH)},
}


@pytest.mark.parametrize("options", MASKS.values(), ids=MASKS)
def test_fused_attention_equals_the_twin(options):
    q, k, v = ((2 * torch.randn(2, 4, LENGTH, 8)).requires_grad_() for _ in range(3))
    output = F.scaled_dot_product_attention(q, k, v, **options)
    assert "ScaledDotProduct" in output.grad_fn.name()
    twin = probabilities(q, k, options.get("scale"), options.get("attn_mask"), options.get("is_causal", False))
    assert read(output) == pytest.approx(mean(even(twin.detach())), rel=1e-4)


def test_fused_attention_of_many_heads_and_queries_is_thinned():
    q, k, v = (torch.randn(8, 8, 64, 8).requires_grad_() for _ in range(3))
    twin = mean(even(probabilities(q, k).detach()))
    assert read(F.scaled_dot_product_attention(q, k, v)) == pytest.approx(twin, rel=0.05)


def test_extremes_of_fused_attention():
    q = torch.zeros(1, 1, LENGTH, 8, requires_grad=True)
    eye = 100 * torch.eye(LENGTH, 8)[None, None]
    assert read(F.scaled_dot_product_attention(q, q * 1, q)) == pytest.approx(1.0)
    assert read(F.scaled_dot_product_attention((q + eye), (q + eye), q)) == 0.0
    alone = q[:, :, :1]
    assert read(F.scaled_dot_product_attention(q, alone, alone)) is None
