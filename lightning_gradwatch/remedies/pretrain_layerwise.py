"""Layers that are worth having before the gradient reaches them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from lightning_gradwatch import arguments
from lightning_gradwatch.records import Anatomy, CauseKind, Finding
from lightning_gradwatch.remedies.base import Advice, Cure
from lightning_gradwatch.remedies.moments import Moment
from lightning_gradwatch.remedies.network import weight_layers
from lightning_gradwatch.remedies.treatment import Applies, Treatment

if TYPE_CHECKING:
    from torch import nn

    from lightning_gradwatch.remedies.surgery.edit import Edit

_LOCAL = "each layer first learns from a loss of its own, one layer away, and not through the whole network."


class PretrainLayerwise(Treatment):
    """Unsupervised pretraining layer by layer, then fine-tuning of the whole.

    Before the first step of a fit every hidden linear or convolutional layer, from the first on, learns as a denoising
    autoencoder on the fit's own training batches without their labels: it and what follows it up to the next layer
    (norm, activation, pooling) encode an input of which some numbers are hidden, and an affine decoder, which is thrown
    away, has to tell the whole input from that.  Then the fit goes on as if nothing were: optimizers, random numbers,
    running statistics and the order of the data are untouched.  On several ranks gradients are averaged, so that all
    have the same weights.  A resumed fit does not pretrain again.  Layers that a skip connection leads around, that
    compute several times in a pass, share weights or are frozen are left alone.

    Loggers get the error of reconstruction as ``gradwatch/pretrain/<layer>``, in parts of the input's variance.

    Args:
        steps: of each layer.
        noise: the share of a layer's input that is hidden: replaced by its mean over the batch.
        learning_rate: of the Adam that pretrains.
        where: names of modules, of parts that hold them, or patterns of names; None: everywhere.
        seed: of the noise and the decoders.

    Raises:
        WrongArgument: an argument breaks its rule.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Linear(8, 8), nn.Sigmoid(), nn.Linear(8, 8), nn.Sigmoid(), nn.Linear(8, 2))
        >>> x = torch.randn(64, 2) @ torch.randn(2, 8)
        >>> applied = PretrainLayerwise().apply(model, batches=lambda: [(x, torch.zeros(64))])
        >>> applied.changed
        ('0', '2')
    """

    name: ClassVar[str] = "PretrainLayerwise"
    title: ClassVar[str] = "layer-wise pretraining"
    source: ClassVar[str] = (
        "Hinton, Osindero & Teh, A fast learning algorithm for deep belief nets (2006), section 4; "
        "Hinton & Salakhutdinov, Reducing the dimensionality of data with neural networks (2006); "
        "Bengio et al., Greedy layer-wise training of deep networks (2007), section 4; "
        "Vincent et al., Stacked denoising autoencoders (2010), section 3"
    )
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.INITIALIZATION: Cure(fit=0.35, why=_LOCAL),
        CauseKind.DEPTH: Cure(fit=0.3, why=_LOCAL),
        CauseKind.ACTIVATION: Cure(fit=0.2, why=_LOCAL),
    }
    heavy: ClassVar[bool] = True
    moment: ClassVar[Moment] = Moment.DATA
    cost: ClassVar[str] = "No parameters; before the fit, `steps` short steps for every hidden layer."

    def __init__(
        self,
        steps: int = 100,
        *,
        noise: float = 0.25,
        learning_rate: float = 1e-2,
        where: Sequence[str] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(where=where, seed=seed)
        arguments.whole("steps", steps, 1)
        arguments.number("noise", noise, 0, 1, "a share of at least 0 and below 1")
        arguments.number("learning_rate", learning_rate, 1e-12, 1e3, "a positive number")
        self.steps, self.noise, self.learning_rate = steps, noise, learning_rate
        self._teller: Any = None  # of the fit that runs

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits plain stacks of layers; not sequences, whose layers are no autoencoders of their inputs."""
        cause, layers = self.target(finding), weight_layers(anatomy)
        sequence = any(layer.family in ("recurrent", "attention") for layer in anatomy.layers)
        if cause is None or sequence or len(layers) < 2:
            return None
        return Advice(
            cause=cause.kind,
            fit=self.cures[cause.kind].fit,
            advice=f"Pretrain the {len(layers) - 1} hidden layers one after the other as autoencoders, then fine-tune.",
            reason=f"{self.because(cause)} It leaves the network as it is, with the way that loses the gradient: "
            "for networks that may not be changed.",
        )

    @property
    def how(self) -> str:
        """How it is done by hand, one sentence."""
        return (
            "before the fit, train each hidden layer in turn, with a decoder of its own, to reconstruct its input from "
            "a corrupted one; as a callback, Trainer(callbacks=[PretrainLayerwise()]) does it on the fit's own data."
        )

    def snippet(self, model: nn.Module) -> str:
        """The callback: it needs the data."""
        return f"from lightning_gradwatch import {self.name}\n\ntrainer = Trainer(callbacks=[{self!r}])"

    def _fits(self, model: nn.Module) -> Applies:
        from lightning_gradwatch.remedies.surgery.pretraining import PRETRAINED

        if sum(isinstance(module, PRETRAINED) for module in model.modules()) > 1:
            return Applies()
        return Applies("It has no hidden linear or convolutional layer.")

    def _edit(self, edit: Edit) -> None:
        from lightning_gradwatch.remedies.surgery.pretraining import Plan, pretrain

        tell: Callable[..., None] = self._teller or (lambda *_: None)
        pretrain(edit, Plan(self.steps, self.noise, self.learning_rate, tell))

    def _treat(self, trainer: Any, module: Any, optimizers: Sequence[Any]) -> None:
        """As every treatment, with a progress bar and curves meanwhile."""
        from lightning_gradwatch.remedies.surgery.telling import Telling

        with Telling(trainer, "Pretraining", "gradwatch/pretrain/") as self._teller:
            super()._treat(trainer, module, optimizers)
        self._teller = None
