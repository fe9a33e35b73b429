"""Mean and standard deviation of features, batch by batch and over all ranks, in double precision."""

from __future__ import annotations

import torch
from torch import Tensor, distributed

from lightning_gradwatch.remedies.surgery.ground import has_company

# A spread this small beside the mean is rounding.
_ROUNDING = 1e-6


class DataMoments:
    """Number, mean and sum of squares of each feature, updated as Chan, Golub & LeVeque (1983), equation 2.1 do it.

    Args:
        features: how many there are.

    Example:
        >>> data = DataMoments(1)
        >>> for batch in ([[1.0], [2.0]], [[3.0], [6.0]]):
        ...     data.add(torch.tensor(batch), -1)
        >>> data.mean.item(), data.std().item()
        (3.0, 1.8708286933869707)
    """

    def __init__(self, features: int) -> None:
        self.count = 0
        self.mean = torch.zeros(features, dtype=torch.float64)
        self.squares = torch.zeros(features, dtype=torch.float64)
        self.binary = torch.ones(features, dtype=torch.bool)  # nothing but zeros and ones were seen

    def add(self, x: Tensor, axis: int) -> None:
        """Take in a batch; what is not finite is left out with all that stands beside it."""
        rows = x.detach().to("cpu", torch.float64).movedim(axis, -1).flatten(0, -2)
        rows = rows[rows.isfinite().all(-1)]
        if len(rows):
            variance, mean = torch.var_mean(rows, 0, correction=0)
            self._merge(len(rows), mean, variance * len(rows))
            self.binary &= ((rows == 0) | (rows == 1)).all(0)

    def _merge(self, count: int, mean: Tensor, squares: Tensor) -> None:
        total, apart = self.count + count, mean - self.mean
        self.squares += squares + apart**2 * (self.count * count / total)
        self.mean += apart * (count / total)
        self.count = total

    def over_ranks(self, device: torch.device) -> None:
        """All ranks know what all have seen; a collective, unless there is only one process."""
        if not has_company():
            return
        mine = torch.stack([torch.full_like(self.mean, self.count), self.mean, self.squares, self.binary.double()])
        sent = mine.to(device)
        every = [torch.empty_like(sent) for _ in range(distributed.get_world_size())]
        distributed.all_gather(every, sent)
        self.__init__(len(self.mean))
        for counts, mean, squares, binary in (one.cpu() for one in every):
            if int(counts[0]):
                self._merge(int(counts[0]), mean, squares)
                self.binary &= binary.bool()

    def std(self) -> Tensor:
        """Standard deviation of each feature; 1 for one that never changes."""
        spread = (self.squares / max(1, self.count)).sqrt()
        return torch.where(spread > _ROUNDING * self.mean.abs(), spread, 1.0)
