"""Whether weights were learnt, or are still a draw of random numbers."""

from __future__ import annotations

import torch
from torch import Tensor

_ROWS = 256  # of a larger matrix a part is looked at
_SHUFFLES = 8
_STANDS_OUT = 1.25  # times the largest of the shuffled ones


@torch.no_grad()
def is_learnt(weight: Tensor) -> bool:
    """Whether a matrix has a direction that its numbers would not have in another order.

    Numbers drawn independently, from whatever distribution, have as good as the same largest singular value after
    they are shuffled.  Training adds few directions of large size (outliers of the spectrum: Martin & Mahoney, Implicit
    self-regularization in deep neural networks (2021), section 4), which a shuffle destroys.  Orthogonal and identity
    matrices have a smaller one than their shuffles and count as drawn.  In doubt: drawn.

    Args:
        weight: of a layer; what lies behind the first dimension is one.

    Example:
        >>> drawn = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
        >>> is_learnt(drawn), is_learnt(drawn + 3 * torch.outer(drawn[0], drawn[1]) / 8)
        (False, True)
    """
    matrix = weight.detach().float().cpu().flatten(1)[:_ROWS]
    matrix = matrix[:, :: max(1, matrix.shape[1] // _ROWS)][:, : 2 * _ROWS]
    if min(matrix.shape) < 2 or not bool(torch.isfinite(matrix).all()):
        return False
    generator = torch.Generator().manual_seed(0)
    flat = matrix.flatten()
    orders = torch.stack([torch.randperm(len(flat), generator=generator) for _ in range(_SHUFFLES)])
    shuffled = flat[orders].reshape(_SHUFFLES, *matrix.shape)
    return bool(_largest(matrix) > _STANDS_OUT * _largest(shuffled).max())


def _largest(matrices: Tensor) -> Tensor:
    """Largest singular values."""
    return torch.linalg.matrix_norm(matrices, ord=2)
