"""How much slope a softmax has left: 1 where it is even, 0 where it is one-hot and no gradient passes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lightning_gradwatch.measure.activations import saved

# At most so many numbers of a softmax's result are read, in at least so many rows; of fused attention, which has to be
# computed again, so many queries of so many heads.
_ENOUGH = 1 << 15
_ROWS = 16
_HEADS = _QUERIES = 8
# Fused attention over more keys (times features) than this for each head is left alone: it would cost milliseconds.
_LONGEST = 1 << 20


def openness(name: str, node: Any) -> Tensor | None:
    """Mean over rows of (1 - sum p^2) / (1 - 1 / keys), a 0-d tensor; None where unknown.

    The trace of the softmax's derivative over its largest: 1 where p = 1/n everywhere, 0 where p is one-hot.

    Args:
        name: the operation's name: "Softmax", "ScaledDotProductFlashAttention".
        node: its autograd node, before the backward pass frees it.
    """
    if name in ("Softmax", "SafeSoftmax"):
        return _of_result(node)
    return _of_scores(node) if name.startswith("ScaledDotProduct") else None


def _of_result(node: Any) -> Tensor | None:
    p = saved(node, "result")
    if p is None or p.dim() == 0 or p.numel() == 0:
        return None
    p = p.movedim(_signed(node._saved_dim), -1)
    keys = p.shape[-1]
    if keys < 2:
        return None
    rows = p.reshape(-1, keys)
    rows = rows[:: max(1, len(rows) // max(_ROWS, _ENOUGH // keys))]
    return _even(rows.float()).mean() / (1 - 1 / keys)


def _of_scores(node: Any) -> Tensor | None:
    query, key = saved(node, "query"), saved(node, "key")
    if query is None or key is None or query.dim() != 4 or key.shape[-2] < 2 or query.numel() == 0:
        return None
    if key.shape[-1] * key.shape[-2] > _LONGEST:
        return None
    batch, heads = query.shape[:2]
    pairs = _spread(batch * heads, _HEADS)
    samples = [pair // heads for pair in pairs]
    queries = _spread(query.shape[2], _QUERIES)
    shared = heads // key.shape[1]  # grouped queries: several heads share a key
    ours = query[samples, [pair % heads for pair in pairs]][:, queries].float()
    theirs = key[samples, [pair % heads // shared for pair in pairs]].float()
    scale = getattr(node, "_saved_scale", None)
    scores = ours @ theirs.mT * (query.shape[-1] ** -0.5 if scale is None else float(scale))
    hidden = _hidden(node, scores, pairs, heads, queries)
    scores = scores if hidden is None else scores + hidden
    keys = scores.isfinite().sum(-1)
    counted = keys > 1  # one key leaves nothing to choose: no row to judge
    even = _even(torch.softmax(scores, -1)) / (1 - 1 / keys.clamp(min=2))
    return torch.where(counted, even, 0.0).sum() / counted.sum()


def _hidden(node: Any, scores: Tensor, pairs: list[int], heads: int, queries: list[int]) -> Tensor | None:
    """What is added to the scores: -inf for keys that a query may not see."""
    mask = saved(node, "attn_mask") if hasattr(node, "_saved_attn_mask") else saved(node, "attn_bias")
    length = scores.shape[-1]
    if mask is not None:
        whole = mask.broadcast_to(*torch.broadcast_shapes(mask.shape, (1, heads, 1, length)))
        whole = whole.reshape(-1, heads, *whole.shape[-2:])
        samples = [pair // heads if len(whole) > 1 else 0 for pair in pairs]
        rows = whole[samples, [pair % heads for pair in pairs]][:, queries if whole.shape[-2] > 1 else [0]]
        return rows.log() if rows.dtype == torch.bool else rows.float()
    if getattr(node, "_saved_is_causal", False):
        keys = torch.arange(length, device=scores.device)
        return torch.where(keys > torch.tensor(queries, device=scores.device)[:, None], -torch.inf, 0.0)
    return None


def _even(p: Tensor) -> Tensor:
    return 1 - p.square().sum(-1)


def _spread(count: int, most: int) -> list[int]:
    """At most so many of the first ``count`` numbers, evenly spread, the last one always in it."""
    return sorted({count - 1 - i * count // most for i in range(min(count, most))}) if count > most else [*range(count)]


def _signed(dim: int) -> int:
    """Torch keeps negative dimensions as unsigned numbers."""
    return dim - (1 << 64) if dim >= 1 << 63 else dim
