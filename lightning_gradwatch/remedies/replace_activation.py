"""An activation that does not saturate in place of one that does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from lightning_gradwatch import arguments
from lightning_gradwatch.records import Anatomy, CauseKind, Finding, Kind
from lightning_gradwatch.remedies.base import Advice, Cure
from lightning_gradwatch.remedies.moments import Moment
from lightning_gradwatch.remedies.network import (
    SATURATING,
    gates,
    loss_behind_relu,
    main_activation,
    spreads,
    through_time,
)
from lightning_gradwatch.remedies.treatment import Applies, Treatment

if TYPE_CHECKING:
    from torch import nn

    from lightning_gradwatch.remedies.surgery.edit import Edit

_OFFERED = ("relu", "leaky_relu", "prelu", "elu", "selu", "gelu", "silu")
_CLASSES = {"relu": "ReLU", "leaky_relu": "LeakyReLU", "prelu": "PReLU", "elu": "ELU", "selu": "SELU"}
_CLASSES |= {"gelu": "GELU", "silu": "SiLU"}
_MODULES = "Sigmoid|Tanh|Hardsigmoid|Hardtanh|Softsign|LogSigmoid"
_FUNCTIONS = "sigmoid|tanh|hardsigmoid|hardtanh|softsign|logsigmoid"
_HE = 'nn.init.kaiming_normal_(w, nonlinearity="relu")'


class ReplaceActivation(Treatment):
    """Put ReLU, LeakyReLU, PReLU, ELU, SELU, GELU or SiLU in the place of hidden activations that saturate.

    Sigmoid, Tanh, Hardsigmoid, Hardtanh, Softsign and LogSigmoid go; ReLU too, where what comes is not flat where its
    input is negative.  The output's activation, gates, hand-written recurrences and subclasses of the user stay, and
    the outcome says so; what follows what is read from the source of the network, without running it.  Functions
    (``torch.sigmoid(x)``) cannot be replaced from outside: their lines are named.  A module whose own name is in
    ``where`` is replaced whatever it is for.  The weights stay as they are: see ``Initialize``.

    Args:
        to: "relu", "leaky_relu", "prelu" (its slope is learnt: the optimizer gets it), "elu", "selu", "gelu", "silu".
        where: names of modules, of parts that hold them, or patterns of names; None: everywhere.
        seed: nothing is drawn; the same argument as every treatment's.

    Raises:
        WrongArgument: ``to`` is none of these.

    Example:
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1), nn.Sigmoid())
        >>> print(ReplaceActivation("elu").apply(model))
        ReplaceActivation('elu'):
          1: Tanh is ELU now.
          3 stays: the output's, whose range the loss expects.
    """

    name: ClassVar[str] = "ReplaceActivation"
    title: ClassVar[str] = "ReLU with He initialisation"
    source: ClassVar[str] = (
        "Glorot, Bordes & Bengio, Deep sparse rectifier neural networks (2011), section 3; "
        "He et al., Delving deep into rectifiers (2015), equations 1 (PReLU) and 14"
    )
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.ACTIVATION: Cure(
            fit=0.95,
            why="a rectifier passes the gradient whole wherever its input is positive and cannot saturate there.",
        ),
    }

    moment: ClassVar[Moment] = Moment.SETUP
    partners: ClassVar[tuple[str, ...]] = ("Initialize",)  # another activation asks for weights of another scale
    structural: ClassVar[bool] = True
    cost: ClassVar[str] = "No time; one parameter an activation with prelu, else none."

    def __init__(self, to: str = "relu", *, where: Sequence[str] | None = None, seed: int = 0) -> None:
        super().__init__(where=where, seed=seed)
        arguments.word("to", to, _OFFERED)
        self.to = to

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits saturating activations; a plain ReLU whose units die; nothing else, and never the gates of an LSTM."""
        cause, present = self.target(finding), main_activation(finding, anatomy)
        if cause is None or present is None or gates(anatomy) or through_time(finding, anatomy):
            return None
        fit = self.cures[cause.kind].fit
        if present in SATURATING:
            return Advice(
                cause=cause.kind,
                fit=fit,
                advice=f"Replace every hidden {present} by ReLU, LeakyReLU, PReLU or ELU with He initialisation.",
                reason=f"{self.because(cause)} {_why_both(anatomy)} He is {_HE}.",
            )
        if present != "relu":
            return None
        return Advice(
            cause=cause.kind,
            fit=fit if finding.kind is Kind.DEAD_UNITS else 0.4,
            title="LeakyReLU with He initialisation",
            advice="Replace ReLU by LeakyReLU, PReLU or ELU, and keep or draw He initialisation with it.",
            reason=f"{self.because(cause)} A leaky slope keeps units alive whose input stays negative; ReLU's "
            "slope of 0 does not.",
        )

    @property
    def how(self) -> str:
        """How it is done by hand."""
        return f"write nn.{_CLASSES[self.to]}() for every hidden activation that saturates, gates aside."

    def tailored(self, finding: Finding, anatomy: Anatomy) -> ReplaceActivation:
        """A slope for negative inputs where units are dead or the activations are ReLUs already; else ReLU."""
        is_dead = finding.kind is Kind.DEAD_UNITS or main_activation(finding, anatomy) == "relu"
        return ReplaceActivation("leaky_relu" if is_dead else "relu", where=self.where, seed=self.seed)

    def rewrites(self) -> Sequence[tuple[str, str]]:
        """Modules and functions that saturate, in lines of source; the lines that ``spared`` names stay."""
        class_ = _CLASSES[self.to]
        modules = [
            (rf"\bnn\.(?:{_MODULES})\([^()]*\)", f"nn.{class_}()"),
            (rf"\bnn\.(?:{_MODULES})\b(?!\()", f"nn.{class_}"),
        ]
        if self.to == "prelu":  # as a function it needs a parameter of the module
            return modules
        function = "torch.relu" if self.to == "relu" else f"torch.nn.functional.{self.to}"
        return [
            *modules,
            (rf"\btorch\.(?:{_FUNCTIONS})_?\(", f"{function}("),
            (rf"\b(F|functional)\.(?:{_FUNCTIONS})_?\(", rf"\1.{self.to}("),
            (r"(?<![\w.)\]])(\w+)\.(?:sigmoid|tanh)_?\(\)", rf"{function}(\1)"),
        ]

    def spared(self, model: nn.Module) -> set[tuple[str, int]]:
        """The lines of the output's activation and of gates, as far as they can be told."""
        from lightning_gradwatch.remedies.surgery.replacing import spared

        return spared(model, self.to)

    def _fits(self, model: nn.Module) -> Applies:
        from lightning_gradwatch.remedies.surgery.edit import Edit
        from lightning_gradwatch.remedies.surgery.replacing import survey

        found = survey(model, self.to, Edit(model, where=self.where).includes, self.where or ())
        if found.replaced or found.layers:
            return Applies()
        return Applies(" ".join(found.told) or "It has no activation that this would replace.")

    def _edit(self, edit: Edit) -> None:
        from lightning_gradwatch.remedies.surgery.replacing import replace

        replace(edit, self.to)


def _why_both(anatomy: Anatomy) -> str:
    """Why ReLU comes with He: with torch's own weights a deep network of it vanishes again."""
    lost, now = loss_behind_relu(anatomy), spreads(anatomy, "He")
    if lost is None or now is None:
        return "Without He it would vanish again: torch's own weights lose 0.39 decades a layer behind a ReLU."
    if lost < 1:
        return f"The weights suit a ReLU already (standard deviation {now[0]:.2g}, He gives {now[1]:.2g})."
    return (
        f"ReLU alone would not do: with these weights (standard deviation {now[0]:.2g}, He gives {now[1]:.2g}) "
        f"it would lose about {lost:.1f} decades again."
    )
