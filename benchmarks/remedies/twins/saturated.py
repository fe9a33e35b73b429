"""Twins of sick_saturated.py: weights, inputs, logits and rates of the right size."""

from __future__ import annotations

from fit import Setup
from torch import nn
from twin import Twin
from zoo._data import batches, digits, table
from zoo._networks import Learner, adam, he, mlp, on_digits, sgd, xavier
from zoo.sick_saturated import Attention


class Gated(nn.Module):
    """An LSTM over the rows of a digit with torch's own weights."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent, self.head = nn.LSTM(8, 48, batch_first=True), nn.Linear(48, 10)

    def forward(self, x):
        return self.head(self.recurrent(x.unflatten(1, (8, 8)))[0][:, -1])


def _wine(seed: int) -> Setup:
    network = xavier(mlp(3, nn.Tanh, 32, 13, 3))
    return Setup(module=Learner(network, optimizer=adam(lr=1e-3)), loader=batches(table("wine"), seed, 32))


SGD = sgd(lr=0.05)
TWINS = {
    "mlp-sigmoid-10-normal-5": Twin(build=on_digits(lambda: he(mlp(10, nn.ReLU)), optimizer=SGD)),
    "mlp-tanh-8-normal-3": Twin(build=on_digits(lambda: xavier(mlp(8, nn.Tanh)))),
    "mlp-tanh-inputs-times-1000": Twin(build=on_digits(lambda: xavier(mlp(3, nn.Tanh)), loader=digits)),
    "wine-raw-sigmoid": Twin(build=_wine),
    "attention-logits-times-50": Twin(build=on_digits(lambda: Attention(32**-0.5))),
    "mlp-hardsigmoid-6-large": Twin(build=on_digits(lambda: he(mlp(6, nn.ReLU)), optimizer=SGD)),
    "lstm-gates-saturated": Twin(build=on_digits(Gated, optimizer=adam(lr=1e-2))),
    "output-sigmoid-squared-loss": Twin(build=on_digits(lambda: he(mlp(2, nn.ReLU)), optimizer=sgd(lr=0.1))),
    "mlp-tanh-adam-rate-1": Twin(build=on_digits(lambda: xavier(mlp(4, nn.Tanh)), optimizer=adam(lr=1e-3))),
    "mlp-tanh-saturates-at-120": Twin(build=on_digits(lambda: xavier(mlp(5, nn.Tanh)), optimizer=SGD)),
}
