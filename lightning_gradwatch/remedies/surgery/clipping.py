"""Clipping of gradients at every step: by norm, by value, by unit, or at a quantile of the run's own norms."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lightning_gradwatch.remedies.surgery.at_step import AtStep
from lightning_gradwatch.remedies.surgery.gradients import gradients_of, limit, multiply, norm_of, silence, unit

_SMALLEST = 1e-3  # Brock et al. (2021): below equation 3, so that weights of zero can leave it
# Whose weight counts its outputs along the second dimension.
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class Clipper(AtStep):
    """Base of the ways to clip; subclasses write ``clip``.

    Args:
        told: the treatment that it belongs to.
        ids: of the parameters that are meant; None: all.
        skip: put zeros in the place of gradients of which one is not finite.
    """

    def __init__(self, told: str, ids: Collection[int] | None, *, skip: bool) -> None:
        super().__init__(told)
        self.ids, self.skip = ids, skip

    def follow(self, twins: Mapping[int, int]) -> None:
        """The parameters that are meant are those of the copy."""
        self.ids = None if self.ids is None else {twins.get(one, one) for one in self.ids}

    def moves(self, optimizer: Any) -> None:
        """Clip what is there."""
        gradients = gradients_of(optimizer, self.ids)
        if not gradients:
            return
        if self.skip:
            silence(gradients, unless=torch.isfinite(norm_of(gradients)))
        self.clip(optimizer, gradients)

    def clips(self, parameter: Tensor) -> bool:
        """Whether the gradient of this parameter may be shortened."""
        return self.ids is None or id(parameter) in self.ids

    def clip(self, optimizer: Any, gradients: list[Tensor]) -> None:
        """Shorten them in place."""
        raise NotImplementedError


class ByNorm(Clipper):
    """Pascanu et al. (2013), algorithm 1: all gradients together are no longer than ``bound``."""

    def __init__(self, told: str, ids: Collection[int] | None, bound: float, *, skip: bool) -> None:
        super().__init__(told, ids, skip=skip)
        self.bound = bound

    def clip(self, optimizer: Any, gradients: list[Tensor]) -> None:
        """The same factor for all."""
        norm, scale = norm_of(gradients), unit(optimizer)
        multiply(gradients, shortened(norm / scale, self.limit(norm / scale)))

    def limit(self, norm: Tensor) -> Tensor:
        """How long they may be, when they are that long."""
        return torch.full_like(norm, self.bound)


class ByQuantile(ByNorm):
    """Seetharaman et al. (2020), equation 2: the bound is a quantile of the norms so far, this one included.

    Norms that are not finite, or 0, are no norms to compare with.
    """

    def __init__(self, told: str, ids: Collection[int] | None, quantile: float, window: int, *, skip: bool) -> None:
        super().__init__(told, ids, 0.0, skip=skip)
        self.quantile = quantile
        self.norms = torch.full((window,), torch.nan)  # the last ones, the oldest is written over next
        self.count = 0

    def limit(self, norm: Tensor) -> Tensor:
        """Asked once for every step."""
        if self.norms.device != norm.device:
            self.norms = self.norms.to(norm.device)
        known = torch.isfinite(norm) & (norm > 0)
        self.norms[self.count % len(self.norms)] = torch.where(known, norm, torch.nan).float()
        self.count += 1
        seen = self.norms[: self.count]
        return torch.nanquantile(seen, self.quantile).to(norm.dtype)

    def state_dict(self) -> dict[str, Any]:
        """The norms so far."""
        return {"norms": self.norms.tolist(), "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with them."""
        self.norms, self.count = torch.as_tensor(state["norms"], dtype=torch.float32).clone(), int(state["count"])


class ByValue(Clipper):
    """No element is larger than ``bound``."""

    def __init__(self, told: str, ids: Collection[int] | None, bound: float, *, skip: bool) -> None:
        super().__init__(told, ids, skip=skip)
        self.bound = bound

    def clip(self, optimizer: Any, gradients: list[Tensor]) -> None:
        """Element by element."""
        limit(gradients, self.bound * unit(optimizer))


class ByUnit(Clipper):
    """Brock et al. (2021), equation 3: a unit's gradient is at most ``ratio`` times as long as its weights.

    Args:
        told: the treatment that it belongs to.
        ids: of the parameters that are meant; None: all.
        ratio: lambda of the equation.
        spared: parameters, by ``id``, whose gradients are not shortened.
        dims: by ``id``, along which dimension a weight counts its units where that is not the first.
        skip: put zeros in the place of gradients of which one is not finite.
    """

    def __init__(
        self,
        told: str,
        ids: Collection[int] | None,
        ratio: float,
        spared: Collection[int],
        dims: Mapping[int, int],
        *,
        skip: bool,
    ) -> None:
        super().__init__(told, ids, skip=skip)
        self.ratio, self.spared, self.dims = ratio, spared, dims

    def follow(self, twins: Mapping[int, int]) -> None:
        """The same of those that are spared, or lie otherwise."""
        super().follow(twins)
        self.spared = {twins.get(one, one) for one in self.spared}
        self.dims = {twins.get(one, one): dim for one, dim in self.dims.items()}

    def clips(self, parameter: Tensor) -> bool:
        """All but the spared ones."""
        return super().clips(parameter) and id(parameter) not in self.spared

    def clip(self, optimizer: Any, gradients: list[Tensor]) -> None:
        """Unit by unit; a sparse gradient is left as it is."""
        scale = unit(optimizer)
        for parameter in (p for group in optimizer.param_groups for p in group["params"] if self.clips(p)):
            gradient = parameter.grad
            if gradient is None or gradient.layout != torch.strided:
                continue
            dim = self.dims.get(id(parameter), 0)
            bound = self.ratio * unit_norms(parameter, dim).clamp(min=_SMALLEST)
            gradient.mul_(shortened(unit_norms(gradient, dim) / scale, bound).to(gradient.dtype))


def unit_norms(tensor: Tensor, dim: int = 0) -> Tensor:
    """The norm of every unit's slice, shaped to be multiplied with it; of a vector one for the whole.

    Example:
        >>> unit_norms(torch.tensor([[3.0, 4.0], [0.0, 1.0]]))
        tensor([[5.],
                [1.]])
    """
    wide = torch.promote_types(tensor.dtype, torch.float32)
    if tensor.ndim <= 1:
        return torch.linalg.vector_norm(tensor, dtype=wide)
    rest = tuple(i for i in range(tensor.ndim) if i != dim)
    return torch.linalg.vector_norm(tensor, dim=rest, keepdim=True, dtype=wide)


def shortened(norm: Tensor, bound: Tensor) -> Tensor:
    """What to multiply by, so that nothing is longer than its bound; 1 for what is not finite.

    Example:
        >>> shortened(torch.tensor([10.0, 1.0, torch.inf]), torch.tensor(5.0))
        tensor([0.5000, 1.0000, 1.0000])
    """
    return torch.where((norm > bound) & torch.isfinite(norm), bound / norm, torch.ones_like(norm))


def transposed(model: nn.Module) -> dict[int, int]:
    """``id`` of a weight -> the dimension of its units, where that is not the first."""
    return {id(module.weight): 1 for module in model.modules() if isinstance(module, _TRANSPOSED)}


def last_linear(model: nn.Module) -> nn.Linear | None:
    """The last linear layer, which Brock et al. (2021), section 4.1, leave unclipped."""
    return next((m for m in reversed(list(model.modules())) if isinstance(m, nn.Linear)), None)
