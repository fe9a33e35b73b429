"""Weights drawn at the scale that their activation asks for."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from lightning_gradwatch import arguments
from lightning_gradwatch.records import Anatomy, CauseKind, Finding, Kind
from lightning_gradwatch.remedies.base import Advice, Cure
from lightning_gradwatch.remedies.moments import Moment
from lightning_gradwatch.remedies.network import RECTIFYING, evidence, main_activation, spreads, through_time
from lightning_gradwatch.remedies.treatment import Applies, Treatment

if TYPE_CHECKING:
    from torch import nn

    from lightning_gradwatch.remedies.surgery.edit import Edit

# Weights within 10 % of the scheme's scale gain nothing by being drawn again.
_NEAR = math.log(1.1)
_BIASES = ", biases 0."
_CALL = {
    "He": 'nn.init.kaiming_normal_(w, nonlinearity="relu")',
    "Xavier": "nn.init.xavier_normal_(w)",
}
_SCHEMES = ("auto", "xavier", "he", "lecun", "orthogonal", "lsuv")
_WRITTEN = {
    "xavier": "nn.init.xavier_normal_(module.weight{gain})",
    "he": 'nn.init.kaiming_normal_(module.weight, nonlinearity="relu")',
    "lecun": 'nn.init.kaiming_normal_(module.weight, nonlinearity="linear")',
    "orthogonal": "nn.init.orthogonal_(module.weight{gain})",
}


class Initialize(Treatment):
    """Draw the weights at the scale that the activation behind each layer asks for, and set biases to 0.

    Linear and convolutional layers (transposed ones too), recurrent layers gate by gate, the projections of attention.
    What leads a recurrent layer from step to step is orthogonal, and the forget gate of an LSTM begins with a bias of
    1 (Saxe et al. 2014, section 3; Jozefowicz et al. 2015, section 2.2).  Which activation follows is read from the
    source of the network, without running it.

    Left alone, with a sentence: frozen layers; layers that show that they were learnt (``keep_trained``), with their
    biases; layers of zeros where others are not zero (a residual branch or a head that begins so on purpose); layers
    whose weight is computed by a hook.  Left as they are: embeddings of a usual size, and what is tied to them;
    normalisations, unless ``where`` names them or a number in them is not finite.  Weights that are not finite or one
    number throughout are always drawn.  An optimizer's state of what is drawn (momentum) is dropped.

    =============  ===============================================================================================
    "auto"         "he" where a rectifier follows, "lecun" where SELU does, else "xavier"
    "he"           sqrt(2 / fan_in), leaky slopes respected: He et al. (2015), equations 10 and 14
    "xavier"       sqrt(2 / (fan_in + fan_out)): Glorot & Bengio (2010), equation 12
    "lecun"        sqrt(1 / fan_in): LeCun et al., Efficient backprop (1998), section 4.6
    "orthogonal"   orthonormal rows or columns, times He's factor where a rectifier follows: Saxe et al. (2014)
    "lsuv"         orthogonal, then scaled until each layer's output varies by 1 on a batch: Mishkin & Matas, All you
                   need is a good init (2016), algorithm 1; in a fit right before the first batch, from rank 0
    =============  ===============================================================================================

    Args:
        scheme: one of the table.
        gain: factor on the spread (for "lsuv" on that of the outputs); None: the scheme's own.
        keep_trained: keep layers of which it shows that they were learnt: a direction in the weights that the same
            numbers have in no other order.  Of little training, and of matrices of few rows, it does not show.
        where: names of modules, of parts that hold them, or patterns of names; None: everywhere.
        seed: of the numbers drawn; the fit's own numbers are not touched.

    Raises:
        WrongArgument: an argument breaks its rule.

    Example:
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
        >>> applied = Initialize().apply(model)
        >>> round(model[0].weight.std().item() / (2 / 512) ** 0.5, 2)
        1.0
        >>> print(applied)
        Initialize():
          0: drawn by He for the relu that follows, biases 0.
          2: drawn by Xavier, biases 0.
    """

    name: ClassVar[str] = "Initialize"
    title: ClassVar[str] = "Xavier or He initialisation"
    source: ClassVar[str] = (
        "Glorot & Bengio, Understanding the difficulty of training deep feedforward neural networks (2010), "
        "equation 12; "
        "He et al., Delving deep into rectifiers (2015), equation 14"
    )
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.INITIALIZATION: Cure(
            fit=0.95, why="weights of the right scale hand the gradient on at the size at which it came."
        ),
    }

    moment: ClassVar[Moment] = Moment.SETUP  # with "lsuv" it is DATA
    cost: ClassVar[str] = "No parameters and no time in the fit; lsuv one to ten passes forward before it."

    def __init__(
        self,
        scheme: str = "auto",
        *,
        gain: float | None = None,
        keep_trained: bool = True,
        where: Sequence[str] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(where=where, seed=seed)
        arguments.word("scheme", scheme, _SCHEMES)
        arguments.switch("keep_trained", keep_trained)
        if gain is not None:
            arguments.number("gain", gain, math.nextafter(0, 1), math.inf, "a number above 0, or None")
        self.scheme, self.gain, self.keep_trained = scheme, gain, keep_trained
        if scheme == "lsuv":
            self.__dict__["moment"] = Moment.DATA

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits weights that are off the scale; little where sigmoids take most of it, whatever the weights are."""
        cause = self.target(finding)
        if cause is None or through_time(finding, anatomy):
            return None
        present = main_activation(finding, anatomy)
        scheme = scheme_for(present, finding)
        now = spreads(anatomy, scheme)
        began_dead = finding.kind is Kind.DEAD_UNITS  # biases may do that to weights of any scale
        if not began_dead and now is not None and now[0] > 0 and abs(math.log(now[0] / now[1])) < _NEAR:
            return None
        return Advice(
            cause=cause.kind,
            fit=self.cures[cause.kind].fit * (1 - _taken_by_sigmoids(present, finding)),
            title=f"{scheme} initialisation",
            advice=f"Draw the weights by {_CALL[scheme]}{_BIASES if began_dead else ' and use Adam.'}",
            reason=f"{self.because(cause)} {_network(present, scheme, now)}",
        )

    def tailored(self, finding: Finding, anatomy: Anatomy) -> Initialize:
        """By what follows each layer, learnt or not where the finding blames the weights."""
        blamed = any(cause.kind is CauseKind.INITIALIZATION for cause in finding.causes)
        return Initialize("auto", keep_trained=not blamed, where=self.where, seed=self.seed)

    def snippet(self, model: nn.Module) -> str:
        """A function for ``apply``, with torch's own initialisers."""
        if self.scheme == "lsuv":
            return super().snippet(model)
        from lightning_gradwatch.remedies.surgery.reading import read
        from lightning_gradwatch.remedies.surgery.schemes import scheme_for

        scheme = scheme_for(read(model).main_kind) if self.scheme == "auto" else self.scheme
        call = _WRITTEN[scheme].format(gain="" if self.gain is None else f", gain={self.gain!r}")
        return textwrap.dedent(f"""\
            def init_weights(module):
                if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)):
                    {call}
                    if module.bias is not None:
                        nn.init.zeros_(module.bias)


            self.apply(init_weights)  # at the end of __init__""")

    def _fits(self, model: nn.Module) -> Applies:
        from lightning_gradwatch.remedies.surgery.edit import Edit
        from lightning_gradwatch.remedies.surgery.initializing import chosen

        edit = Edit(model, where=self.where)
        if chosen(edit, self.keep_trained):
            return Applies()
        return Applies(" ".join(edit.left) or "It has no layer that this would draw.")

    def _edit(self, edit: Edit) -> None:
        from lightning_gradwatch.remedies.surgery.initializing import initialize

        initialize(edit, self.scheme, self.gain, self.keep_trained)


def scheme_for(activation: str | None, finding: Finding) -> str:
    """He or Xavier, by the activation that there is most of; None: none is known."""
    if activation is None:  # none is seen: what the diagnosis compared the weights with, else Xavier's slope of 1
        return "He" if any("He" in quantity.name.split() for quantity in evidence(finding)) else "Xavier"
    return "He" if activation in RECTIFYING and activation != "selu" else "Xavier"


def _taken_by_sigmoids(activation: str | None, finding: Finding) -> float:
    """The share that stays lost after drawing new weights: a sigmoid's slope is at most 1/4, a tanh's 1."""
    if activation not in ("sigmoid", "hardsigmoid"):
        return 0.0
    return min(1.0, sum(cause.share for cause in finding.causes if cause.kind is CauseKind.ACTIVATION))


def _network(activation: str | None, scheme: str, now: tuple[float, float] | None) -> str:
    why = f"{scheme} is the scale for {activation}" if activation else f"{scheme} keeps the size of what passes"
    if now is None:
        return f"{why}."
    return f"{why}: a standard deviation of {now[1]:.2g} where these weights have {now[0]:.2g}."
