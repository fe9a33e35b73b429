"""A gradient that may only be so long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from lightning_gradwatch import _lightning
from lightning_gradwatch.arguments import number, switch, whole, word
from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.records import Anatomy, CauseKind, Finding, Kind
from lightning_gradwatch.remedies.applied import Applied
from lightning_gradwatch.remedies.base import Advice, Cure
from lightning_gradwatch.remedies.optimizer_treatment import OptimizerTreatment

if TYPE_CHECKING:
    from torch import nn

    from lightning_gradwatch.remedies.surgery.clipping import Clipper
    from lightning_gradwatch.remedies.surgery.edit import Edit

_BOUNDS = "one batch, or one long sequence, then moves the weights by no more than any other."
# What explodes or breaks over a fit: clipping bounds the step, it does not change how a gradient spreads along depth.
_OVER_TIME = (Kind.EXPLODING, Kind.NONFINITE)


class ClipGradients(OptimizerTreatment):
    """Clipping by norm: keeps the gradient's direction and bounds its length.

    It acts right before the weights move, after the accumulation and the clipping of the Trainer, on true gradients
    under AMP too.  A gradient of which one element is not finite has no length, and is left as it is.

    Args:
        max_norm: for "norm", of all gradients of an optimizer together; for "value", of one element.
        mode: "norm" (Pascanu et al., algorithm 1), "value" (element by element), "agc" (each unit's gradient against
            the length of its weights, Brock et al., equation 3; not in the last linear layer), or "auto": "norm" where
            ``max_norm`` is given, else at a quantile of the run's own norms (Seetharaman et al., equation 2).
        quantile: of the last norms, this step's included, that "auto" clips at.
        window: how many norms it remembers.
        agc: for "agc", how long a unit's gradient may be, in lengths of its weights.
        skip_nonfinite: put zeros in the place of a gradient of which one element is not finite: momentum still moves
            the weights.
        where: names of modules: only their parameters; None: all.
        seed: nothing in here is drawn.

    Raises:
        WrongArgument: an argument breaks its rule, or ``max_norm`` is missing for "norm" or "value".

    Example:
        >>> import torch
        >>> weight = torch.nn.Parameter(torch.zeros(2))
        >>> model = torch.nn.Module()
        >>> model.weight, optimizer = weight, torch.optim.SGD([weight], lr=1.0)
        >>> applied = ClipGradients(1.0).apply(model, optimizer)
        >>> weight.grad = torch.tensor([30.0, 40.0])
        >>> optimizer.step()
        >>> weight.detach()
        tensor([-0.6000, -0.8000])
        >>> applied.undo()
    """

    name: ClassVar[str] = "ClipGradients"
    title: ClassVar[str] = "clipping by norm"
    source: ClassVar[str] = (
        "Pascanu, Mikolov & Bengio, On the difficulty of training recurrent neural networks (2013), algorithm 1; "
        "Brock et al., High-performance large-scale image recognition without normalization (2021), equation 3; "
        "Seetharaman et al., AutoClip: adaptive gradient clipping for source separation networks (2020), equation 2"
    )
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.RECURRENCE: Cure(fit=0.85, why=_BOUNDS),
        CauseKind.DATA: Cure(fit=0.6, why=_BOUNDS),
        CauseKind.LEARNING_RATE: Cure(fit=0.6, why="a step that is bounded cannot throw the weights away."),
    }

    safe_unasked: ClassVar[bool] = True
    cost: ClassVar[str] = "No parameter; the norms of all gradients at every step, which waits for no device."

    def __init__(
        self,
        max_norm: float | None = None,
        *,
        mode: str = "auto",
        quantile: float = 0.9,
        window: int = 1000,
        agc: float = 0.01,
        skip_nonfinite: bool = False,
        where: Sequence[str] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(where=where, seed=seed)
        word("mode", mode, _MODES)
        if max_norm is not None:
            number("max_norm", max_norm, 1e-30, float("inf"), "a number above 0, or None")
        elif mode in ("norm", "value"):
            raise WrongArgument("max_norm", f'a number above 0 for mode "{mode}"', max_norm)
        number("quantile", quantile, 0.0, 1.000001, "a number from 0 to 1")
        whole("window", window, least=2)
        number("agc", agc, 1e-30, float("inf"), "a number above 0")
        switch("skip_nonfinite", skip_nonfinite)
        self.max_norm, self.mode, self.quantile, self.window = max_norm, mode, quantile, window
        self.agc, self.skip_nonfinite = agc, skip_nonfinite

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits gradients that explode or break over time; a batch that is broken itself has no length to clip."""
        cause = self.target(finding)
        if cause is None or finding.kind not in _OVER_TIME:
            return None
        return Advice(
            cause=cause.kind,
            fit=self.cures[cause.kind].fit,
            advice="Clip by norm: Trainer(gradient_clip_val=1.0), or a little above ordinary norms.",
            reason=f"{self.because(cause)} It keeps the gradient's direction and leaves ordinary steps as they are.",
        )

    @property
    def how(self) -> str:
        """How it is done by hand."""
        value = ', gradient_clip_algorithm="value"' if self.mode == "value" else ""
        return f"give the Trainer gradient_clip_val={self.max_norm or 1.0:g}{value}, a little above ordinary norms."

    def snippet(self, model: nn.Module) -> str:
        """Lightning's own way where it has one."""
        if self.max_norm is None or self.where is not None or self.mode == "agc":
            return super().snippet(model)
        value = ', gradient_clip_algorithm="value"' if self.mode == "value" else ""
        return f"trainer = Trainer(gradient_clip_val={self.max_norm:g}{value})"

    def _optimizer(self, edit: Edit, optimizer: Any) -> None:
        from lightning_gradwatch.remedies.surgery import at_step

        clipper = self._clipper(edit)
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        name = at_step.label(edit, optimizer)
        if not any(clipper.clips(parameter) for parameter in parameters):
            edit.leave(f"{name} moves nothing that is to be clipped.")
        elif at_step.start(edit, optimizer, clipper):
            edit.change(name, f"{name}: {self._told()} at every step.")

    def _clipper(self, edit: Edit) -> Clipper:
        from lightning_gradwatch.remedies.surgery import clipping
        from lightning_gradwatch.remedies.surgery.at_step import chosen

        told, ids, skip = repr(self), chosen(edit), self.skip_nonfinite
        if self.mode == "agc":
            last = clipping.last_linear(edit.model)
            spared = frozenset() if last is None else frozenset(id(p) for p in last.parameters(recurse=False))
            return clipping.ByUnit(told, ids, self.agc, spared, clipping.transposed(edit.model), skip=skip)
        if self.mode == "value" and self.max_norm is not None:
            return clipping.ByValue(told, ids, self.max_norm, skip=skip)
        if self.max_norm is not None:
            return clipping.ByNorm(told, ids, self.max_norm, skip=skip)
        return clipping.ByQuantile(told, ids, self.quantile, self.window, skip=skip)

    def _told(self) -> str:
        if self.mode == "agc":
            return f"each unit's gradient is at most {self.agc:g} times as long as its weights"
        if self.max_norm is None:
            return f"the gradient is clipped at the {self.quantile:g} quantile of its last {self.window} norms"
        part = "no element of the gradient is larger" if self.mode == "value" else "the gradient is no longer"
        return f"{part} than {self.max_norm:g}"

    def _treat(self, trainer: Any, module: Any, optimizers: Sequence[Any]) -> None:
        engine = type(_lightning.engine(trainer, module)).__name__
        if engine in _APART and self.applied is None:
            self.applied = Applied(repr(self), left=(f"{engine} clips by itself: Trainer(gradient_clip_val=...).",))
            _lightning.say(str(self.applied), warns=True)
        super()._treat(trainer, module, optimizers)


_MODES = ("auto", "norm", "value", "agc")
# They keep their gradients in slices, which no hook of an optimizer sees as a whole.
_APART = ("FullyShardedDataParallel", "DeepSpeedEngine")
