"""Inputs of the size that weights are made for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from lightning_gradwatch import _lightning, arguments
from lightning_gradwatch.records import Anatomy, Cause, CauseKind, Finding
from lightning_gradwatch.remedies.base import Advice, Cure
from lightning_gradwatch.remedies.treatment import Applies, Treatment

if TYPE_CHECKING:
    from torch import nn

    from lightning_gradwatch.remedies.surgery.edit import Edit

# Of a single batch that is unlike the others, not of all of them.
_OUTLIER = "GW312"


class ScaleInput(Treatment):
    """Standardise the inputs: subtract the mean of each feature, divide by its standard deviation, both of the data.

    Both are measured once, over a few training batches before the first step, for each feature of a vector and each
    channel of an image, and are buffers of a small module ``input_scale`` of each layer that gets the raw input: saved
    with the weights, the same on all ranks.  A feature that is constant, or nothing but zeros and ones, is not divided.
    Embeddings, and inputs that are standardised already, stay as they are; targets too.

    Args:
        batches: how many batches are looked at.
        where: names of modules, of parts that hold them, or patterns of names; None: the layers that get the input.
        seed: of random transforms of the data, while it is looked at.

    Raises:
        WrongArgument: ``batches`` is not a whole number of at least 1.

    Example:
        >>> import torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh(), torch.nn.Linear(2, 1))
        >>> data = [torch.tensor([[0.0, 255.0, 7.0], [2.0, 127.0, 7.0]])]
        >>> print(ScaleInput().apply(model, batches=lambda: data))
        ScaleInput():
          0: its input had a mean of 1 to 191, a standard deviation of 1 to 64, and has 0 and 1 now.
        >>> model[0].input_scale(data[0])
        tensor([[-1.,  1.,  0.],
                [ 1., -1.,  0.]])
    """

    name: ClassVar[str] = "ScaleInput"
    title: ClassVar[str] = "standardised inputs"
    source: ClassVar[str] = "LeCun, Bottou, Orr & Müller, Efficient backprop (1998), section 4.3"
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.DATA: Cure(fit=0.95, why="initial weights are made for inputs of size 1."),
    }

    partners: ClassVar[tuple[str, ...]] = ("Initialize",)  # what was learnt from the old scale does not fit the new one
    structural: ClassVar[bool] = True
    safe_unasked: ClassVar[bool] = True
    cost: ClassVar[str] = "Two numbers for each feature, which are not trained; one pass over the input a step."

    def __init__(self, batches: int = 16, *, where: Sequence[str] | None = None, seed: int = 0) -> None:
        super().__init__(where=where, seed=seed)
        arguments.whole("batches", batches, 1)
        self.batches = batches

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits inputs that are out of scale; of one odd batch it says where to look."""
        cause = self.target(finding)
        if cause is None:
            return None
        odd = cause.code == _OUTLIER or not math.isfinite(_given(cause) or 0.0)
        return Advice(
            cause=cause.kind,
            fit=self.cures[cause.kind].fit,
            title="data without outliers" if odd else self.title,
            advice=_ADVICE[odd],
            reason=f"{self.because(cause)} {_REASON[odd]}{_size(cause)}",
        )

    def structure(self) -> dict[str, Any]:
        """Which layers; what was measured, on however many batches, is in the buffers."""
        return {name: value for name, value in super().structure().items() if name != "batches"}

    @property
    def how(self) -> str:
        """How it is done by hand."""
        return (
            "subtract the mean of each feature and divide by its standard deviation, in the dataset or before layer 1."
        )

    def snippet(self, model: nn.Module) -> str:
        """Where the data is made."""
        return (
            "mean, std = x_train.mean(0), x_train.std(0).clamp(min=1e-6)  # of an image (0, 2, 3), for each channel\n"
            "x = (x - mean) / std  # in the dataset, for training and for all that comes after it"
        )

    def _fits(self, model: nn.Module) -> Applies:
        from lightning_gradwatch.remedies.surgery.input_scale import entries

        return Applies() if entries(model) else Applies(_NO_LAYER)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Measure, if it was not done in the fit that this one goes on with."""
        super().on_train_start(trainer, pl_module)
        from lightning_gradwatch.remedies.surgery.edit import Edit
        from lightning_gradwatch.remedies.surgery.ground import own_ground
        from lightning_gradwatch.remedies.surgery.input_measuring import measure

        edit = Edit(pl_module)
        with own_ground(self.seed):
            measure(edit, _lightning.training_batches(trainer), self.batches)
        if edit.did or edit.left:
            _lightning.say(f"measured the input: {' '.join((*edit.did, *edit.left))}")

    def _edit(self, edit: Edit) -> None:
        from lightning_gradwatch.remedies.surgery.input_measuring import measure
        from lightning_gradwatch.remedies.surgery.input_scale import insert, scales_in

        have = [layer for layer, _ in scales_in(edit.model)]
        new = [layer for layer in self._layers(edit) if not any(layer is one for one in have)]
        if not new:
            return edit.leave("It is standardised by an earlier treatment." if have else _NO_LAYER)
        scales = [(edit.name_of(layer), insert(layer)) for layer in new]
        if edit.batches is not None:
            measure(edit, edit.batches(), self.batches)
        for name, scale in scales:
            edit.change(name, "" if int(scale.seen) else f"{name}: {_LATER}")
        return None

    def _layers(self, edit: Edit) -> list[nn.Module]:
        """Those that get the raw input; in parts that were asked for, at least their first."""
        from lightning_gradwatch.remedies.surgery.input_scale import entries, layout_of

        asked = [module for _, module in edit.modules]
        found = [layer for layer in entries(edit.model) if any(layer is one for one in asked)]
        return found or ([one for one in asked if layout_of(one)[0]][:1] if edit.where is not None else [])


_NO_LAYER = "It has no layer of a known size that gets the raw input: nothing but embeddings, or lazy ones."
_LATER = "what it gets is standardised as soon as the first batches are there."
_ADVICE = {
    False: "Standardise the inputs: subtract their mean, divide by their standard deviation.",
    True: "Look at the batch of that step; drop or mend samples that are not finite or odd.",
}
_REASON = {
    False: "A BatchNorm1d(affine=False) in front of the first layer does it, too",
    True: "A check where batches are loaded, torch.isfinite(x).all(), finds them before they do harm",
}


def _given(cause: Cause) -> float | None:
    return next((q.value for q in cause.evidence if q.name == "root mean square of the input"), None)


def _size(cause: Cause) -> str:
    given = _given(cause)
    return "." if given is None or not math.isfinite(given) else f": the first layer is given a size of {given:.3g}."
