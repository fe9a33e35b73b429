"""What was learnt, and what was only drawn."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_gradwatch.remedies.surgery.freshness import is_learnt

DRAWS = {
    "torch's own": lambda w: nn.init.kaiming_uniform_(w, a=5**0.5),
    "He": nn.init.kaiming_normal_,
    "truncated": lambda w: nn.init.trunc_normal_(w, std=0.02),
    "orthogonal": nn.init.orthogonal_,
    "identity": nn.init.eye_,
    "sparse": lambda w: nn.init.sparse_(w, 0.5),
    "all positive": nn.init.uniform_,
    "heavy tails": lambda w: w.copy_(torch.distributions.StudentT(3.0).sample(w.shape)),
    "zeros": nn.init.zeros_,
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
@pytest.mark.parametrize("shape", [(2, 2), (10, 16), (64, 27), (64, 64)], ids=str)
def test_no_draw_passes_for_learnt(draw, shape):
    torch.manual_seed(1)
    with torch.no_grad():
        assert not any(is_learnt(draw(torch.empty(shape))) for _ in range(15))


def test_a_column_or_nothing_at_all_is_no_proof():
    assert not is_learnt(torch.randn(8, 1))
    assert not is_learnt(torch.full((8, 8), torch.nan))


def test_what_classes_have_taught_shows():
    y = torch.randint(10, (640,))
    x = torch.randn(10, 64)[y] + torch.randn(640, 64)
    model = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 10))
    assert not any(is_learnt(model[i].weight) for i in (0, 2, 4))
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for step in range(120):
        at = torch.arange(64 * step, 64 * (step + 1)) % len(x)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[at]), y[at]).backward()
        optimizer.step()
    assert is_learnt(model[0].weight)
