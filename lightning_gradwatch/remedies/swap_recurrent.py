"""A recurrent layer with gates in place of one without."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from lightning_gradwatch import arguments
from lightning_gradwatch.records import Anatomy, Cause, CauseKind, Finding
from lightning_gradwatch.remedies.base import Advice, Cure
from lightning_gradwatch.remedies.network import PLAIN_RECURRENT, evidence
from lightning_gradwatch.remedies.treatment import Applies, Treatment

if TYPE_CHECKING:
    from torch import nn

    from lightning_gradwatch.remedies.surgery.edit import Edit

_GATED = {"RNN": ("LSTM", "GRU"), "RNNCell": ("LSTMCell", "GRUCell")}
_AUTO = {"RNN": "lstm", "RNNCell": "gru"}
_BECAUSE_OF_TIME = "a gated state is handed on by addition instead of by one more product with weights and slope."
_BY_HAND = (
    "It has no nn.RNN or nn.RNNCell to replace; a recurrence that is written by hand is yours to rewrite: "
    "h = cell(x, h) with torch.nn.GRUCell, or h, c = cell(x, (h, c)) with torch.nn.LSTMCell."
)


class SwapRecurrent(Treatment):
    """LSTM or GRU in place of a plain recurrent layer; the code around it goes on as it is.

    ``output, h = self.rnn(x, h)`` and ``h = self.cell(x, h)`` keep working, with ``h`` one tensor of the same shape: an
    LSTM put in here carries its second state, the cell, along by itself.  It is found where the very ``h`` comes back
    that was handed out, or what shares its memory (``h.detach()``, ``h[-1:]``).  Where ``h`` is computed with between
    two calls (``h * mask``, ``h[order]``, a tensor filled from it) the cell begins at zero again; take ``"gru"`` there,
    which has no second state.  Packed sequences, layers, directions, dropout and batch order are kept; recurrent
    weights begin orthogonal, input weights by Xavier.

    Args:
        to: ``"lstm"``, ``"gru"``, or ``"auto"``: an LSTM for ``nn.RNN``, a GRU for ``nn.RNNCell``, whose loop is
            hand-written.
        forget_bias: of the gate that keeps the state (an LSTM's forget gate, a GRU's update gate) at the start: it
            keeps ``sigmoid(forget_bias)`` a step.  1 as Jozefowicz et al. (2015) advise; for T steps ``log(T - 1)``
            keeps a third of it to the end (Tallec & Ollivier 2018).
        where: names of modules, of parts that hold them, or patterns of names; None: everywhere.
        seed: of the new weights.

    Raises:
        WrongArgument: an argument breaks its rule.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> model = nn.Sequential(nn.RNN(8, 16, batch_first=True))
        >>> print(SwapRecurrent().apply(model))
        SwapRecurrent():
          0: RNN(8, 16) is an LSTM now, which keeps 73 % of its state a step at the start.
        >>> output, h = model(torch.randn(4, 10, 8))
        >>> output.shape, h.shape
        (torch.Size([4, 10, 16]), torch.Size([1, 4, 16]))
    """

    name: ClassVar[str] = "SwapRecurrent"
    title: ClassVar[str] = "LSTM or GRU in place of the plain RNN"
    source: ClassVar[str] = (
        "Hochreiter & Schmidhuber, Long short-term memory (1997), section 4; "
        "Cho et al., Learning phrase representations using RNN encoder-decoder (2014), equations 5 to 8; "
        "Pascanu, Mikolov & Bengio, On the difficulty of training recurrent neural networks (2013), equation 5; "
        "Jozefowicz, Zaremba & Sutskever, An empirical exploration of recurrent network architectures (2015), "
        "section 3.2; Tallec & Ollivier, Can recurrent neural networks warp time? (2018), section 2"
    )
    cures: ClassVar[dict[CauseKind, Cure]] = {
        CauseKind.RECURRENCE: Cure(fit=0.95, why=_BECAUSE_OF_TIME),
        CauseKind.ACTIVATION: Cure(fit=0.9, why=_BECAUSE_OF_TIME),
        CauseKind.DEPTH: Cure(fit=0.9, why=_BECAUSE_OF_TIME),
        CauseKind.INITIALIZATION: Cure(fit=0.8, why=_BECAUSE_OF_TIME),
    }
    structural: ClassVar[bool] = True
    cost: ClassVar[str] = "An LSTM has 4 times and a GRU 3 times the parameters and the time of the plain layer."

    def __init__(
        self, to: str = "auto", *, forget_bias: float = 1.0, where: Sequence[str] | None = None, seed: int = 0
    ) -> None:
        super().__init__(where=where, seed=seed)
        arguments.word("to", to, ("auto", "lstm", "gru"))
        arguments.number("forget_bias", forget_bias, -math.inf, math.inf, "a finite number")
        self.to, self.forget_bias = to, forget_bias

    def weigh(self, finding: Finding, anatomy: Anatomy) -> Advice | None:
        """Fits plain RNN layers; for causes other than recurrence, if such a layer is among the sick; loops by hand."""
        cause = self.target(finding)
        plain = [layer for layer in anatomy.layers if layer.type in PLAIN_RECURRENT]
        sick = [layer for layer in plain if layer.name in finding.layers]
        if cause is None or not (sick or cause.kind is CauseKind.RECURRENCE):
            return None
        if not plain:
            return None if anatomy.has("recurrent") or not finding.layers else self._by_hand(finding, cause)
        layer = (sick or plain)[0]
        long, short = _GATED[layer.type]
        return Advice(
            cause=cause.kind,
            fit=self.cures[cause.kind].fit,
            advice=f"Replace {layer.name} (torch.nn.{layer.type}) by torch.nn.{long} or torch.nn.{short}.",
            reason=f"{self.because(cause)} To remember for long start its forget gates open (bias 1 or more).",
        )

    def _by_hand(self, finding: Finding, cause: Cause) -> Advice:
        """A recurrence without a recurrent layer: a loop of the user's own."""
        return Advice(
            cause=cause.kind,
            fit=self.cures[cause.kind].fit,
            title="LSTM or GRU in place of the loop written by hand",
            advice="Write the loop over time with torch.nn.LSTMCell or torch.nn.GRUCell.",
            reason=f"{self.because(cause)} The loop uses {finding.layers[0]}; its code is yours to change.",
        )

    def structure(self) -> dict[str, Any]:
        """The kind of gates; how far they are open at first is in the weights."""
        return {name: value for name, value in super().structure().items() if name != "forget_bias"}

    @property
    def how(self) -> str:
        """How it is done by hand, one sentence."""
        return (
            "torch.nn.LSTM, which takes and gives (h, c) where the RNN had h, or torch.nn.GRU, which takes and gives "
            "h; with the bias of the gate that keeps the state at 1 or more."
        )

    def rewrites(self) -> Sequence[tuple[str, str]]:
        """The constructor's name, and what only a plain RNN takes; a GRU needs no more."""
        layer, cell = {"auto": ("LSTM", "GRUCell"), "lstm": ("LSTM", "LSTMCell"), "gru": ("GRU", "GRUCell")}[self.to]
        rewritten = [
            (r"\bnn\.RNN\(", f"nn.{layer}("),
            (r"\bnn\.RNNCell\(", f"nn.{cell}("),
            (r"(\bnn\.(?:LSTM|GRU)(?:Cell)?\(.*), *nonlinearity *= *(?:\"\w+\"|'\w+')", r"\1"),
        ]
        if layer == "LSTM":  # where the state is used, and the layer is called what layers are called
            called = r"(self\.\w*(?:rnn|recurrent)\w*\()"
            rewritten += [
                (rf"\b([^\W_]\w*) = {called}(\w+), (\w+)\)", r"\1 = \2\3, (\4, torch.zeros_like(\4)))"),
                (rf"\b(\w+), ([^\W_]\w*) = {called}", r"\1, (\2, cell) = \3"),
            ]
        return rewritten

    def snippet(self, model: nn.Module) -> str:
        """The layer by hand, its forget gates open."""
        kind = "gru" if self.to == "gru" else "lstm"
        gate, call = {"lstm": ("forget", "out, (h, c) = self.rnn(x)"), "gru": ("update", "out, h = self.rnn(x)")}[kind]
        return (
            f"self.rnn = nn.{kind.upper()}(input_size, hidden_size, batch_first=True)  # in place of nn.RNN\n"
            "with torch.no_grad():\n"
            f"    self.rnn.bias_ih_l0[hidden_size : 2 * hidden_size] = {self.forget_bias:g}  # the {gate} gate\n"
            f"...\n{call}"
        )

    def tailored(self, finding: Finding, anatomy: Anatomy) -> SwapRecurrent:
        """Gates that keep the state for as many steps as the gradient was lost over."""
        told = {quantity.name: quantity.value for quantity in evidence(finding)}
        lost, each = told.get("lost through time", 0.0), told.get("lost each time step", 0.0)
        steps = 1 + lost / each if each > 0 and math.isfinite(lost) and math.isfinite(each) else 0
        return SwapRecurrent(
            self.to,
            forget_bias=max(self.forget_bias, round(math.log(max(2.0, steps - 1)), 2)),
            where=self.where,
            seed=self.seed,
        )

    def _fits(self, model: nn.Module) -> Applies:
        from torch import nn

        if any(type(module) in (nn.RNN, nn.RNNCell) for module in model.modules()):
            return Applies()
        gates = nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell
        has = next((type(module).__name__ for module in model.modules() if isinstance(module, gates)), "")
        return Applies(f"Its recurrent layer has gates already ({has})." if has else _BY_HAND)

    def _edit(self, edit: Edit) -> None:
        from lightning_gradwatch.remedies.surgery.recurrent import gated, hindered, hooks_kept

        plain = [(name, module) for name, module in edit.modules if _is_plain(module)]
        if not plain:
            edit.leave(self._fits(edit.model).why_not or "No nn.RNN or nn.RNNCell is among the modules asked for.")
        for name, module in plain:
            if why := hindered(module, edit.model):
                edit.leave(f"{name or 'The network'}: {why}")
                continue
            kind: Any = _AUTO[type(module).__name__] if self.to == "auto" else self.to
            new = gated(module, kind, self.forget_bias)
            hooks_kept(module, new)
            edit.replace(module, new, self._told(name, module, kind))

    def _told(self, name: str, module: Any, kind: str) -> str:
        article = "an LSTM" if kind == "lstm" else "a GRU"
        kept = 1 / (1 + math.exp(-self.forget_bias)) if module.bias else 0.5
        was = f"{type(module).__name__}({module.input_size}, {module.hidden_size})"
        return f"{name}: {was} is {article} now, which keeps {100 * kept:.0f} % of its state a step at the start."


def _is_plain(module: Any) -> bool:
    from torch import nn

    return isinstance(module, (nn.RNN, nn.RNNCell))
