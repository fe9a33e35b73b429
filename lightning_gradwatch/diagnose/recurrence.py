"""GW5xx: recurrent layers lose the gradient."""

from __future__ import annotations

from lightning_gradwatch.diagnose.base import Answer, Rule
from lightning_gradwatch.diagnose.losses import Losses
from lightning_gradwatch.records import CauseKind, Quantity


class RecurrentLayersLose(Rule):
    """Recurrent layers hand on too little of the gradient to the layers below them."""

    code = "GW501"
    title = "Recurrent layers lose the gradient"
    kind = CauseKind.RECURRENCE
    looks_for = """
        Decades that the backward pass loses inside recurrent layers that run as one operation (a fused LSTM, a cuDNN
        RNN), on the way to the layers below them. What happens at each time step inside is not visible there."""
    harm = """
        A recurrent layer multiplies the gradient by its weights and slopes once for every time step, and once more on
        the way down. Gates that are driven shut pass nothing: everything below stops learning, embeddings first."""
    false_alarms = """
        Sequences of which only the last steps matter: early steps get little gradient because nothing there helps."""
    example = """
        nn.Sequential(nn.Embedding(1000, 200), nn.LSTM(200, 200, num_layers=4))  # by SGD at a rate of 20"""
    remedy = """
        Clip the gradient by norm and lower the learning rate, so that gates are not driven shut; LSTM or GRU in place
        of a plain RNN; a forget-gate bias of 1; fewer recurrent layers, or residual connections around them."""
    is_remedy_safe = """
        Clipping and a lower rate change no weights and are safe at any time. Another cell is another network."""
    sources = (
        "Pascanu, Mikolov & Bengio (2013), On the difficulty of training recurrent neural networks, section 2",
        "Hochreiter & Schmidhuber (1997), Long short-term memory, section 3",
        "Jozefowicz, Zaremba & Sutskever (2015), An empirical exploration of recurrent network architectures",
    )

    def check(self, losses: Losses) -> Answer:
        """Whether recurrent layers lost decades of their own."""
        if losses.recurrence <= 0:
            return Answer(holds=False)
        count, lost = losses.recurrent_layers, losses.recurrence
        return Answer(
            holds=True,
            weight=losses.recurrence,
            sentence=f"{count} recurrent layers lose {lost:.1f} decades, {lost / count:.1f} each",
            evidence=(
                Quantity(name="recurrent layers", value=float(count), unit="layers"),
                Quantity(name="lost in recurrent layers", value=lost, unit="decades"),
            ),
        )
