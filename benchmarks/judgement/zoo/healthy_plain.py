"""Plain feed-forward networks that learn, and those that look alike to vanishing ones."""

from __future__ import annotations

from functools import partial

from torch import nn
from torch.nn import functional

from . import _healthy_data as data
from ._healthy_networks import Residual, he, lecun, mlp, xavier
from ._healthy_task import adam, explained, healthy, recipe, sgd

wine = partial(data.standardised, "wine")
cancer = partial(data.standardised, "breast_cancer")
iris = partial(data.standardised, "iris")
diabetes = partial(data.standardised, "diabetes")


def yes_or_no(out, y):
    return functional.binary_cross_entropy_with_logits(out.reshape(-1), y.float())


def residual_relu(layers: int) -> nn.Sequential:
    inner = (nn.Sequential(nn.Linear(64, 64), nn.ReLU()) for _ in range(layers))
    return nn.Sequential(*(Residual(part, 64) for part in inner), nn.LayerNorm(64), nn.Linear(64, 10))


FITS = (
    healthy("mlp-relu-2-adam", "mlp", "A plain network that learns.", recipe(lambda: he(mlp())), seeds=(0, 1, 2)),
    healthy(
        "mlp-sigmoid-2-default",
        "mlp",
        "Two sigmoid layers lose a decade or so and learn well through Adam.",
        recipe(lambda: mlp(activation=nn.Sigmoid), optimizer=adam(0.01)),
        steps=250,
        seeds=(0, 1),
    ),
    healthy(
        "mlp-sigmoid-3-xavier",
        "mlp",
        "Three sigmoid layers, Xavier: attenuated, and learned.",
        recipe(lambda: xavier(mlp(hidden=(64,) * 3, activation=nn.Sigmoid)), optimizer=adam(0.01)),
        steps=300,
    ),
    healthy(
        "mlp-tanh-4-xavier",
        "mlp",
        "Four tanh layers as Xavier meant them.",
        recipe(lambda: xavier(mlp(hidden=(64,) * 4, activation=nn.Tanh)), optimizer=sgd(0.05)),
        seeds=(0, 1),
    ),
    healthy(
        "mlp-tanh-3-default-wine",
        "mlp",
        "Three tanh layers on a small table.",
        recipe(lambda: mlp(13, 3, (32,) * 3, nn.Tanh), wine, batch=32, optimizer=adam(0.005)),
    ),
    healthy(
        "mlp-sigmoid-10-batchnorm",
        "mlp",
        "Ten sigmoid layers whose norms pay the debt.",
        recipe(lambda: mlp(hidden=(64,) * 10, activation=nn.Sigmoid, norm=nn.BatchNorm1d), optimizer=adam(0.01)),
        steps=250,
    ),
    healthy(
        "mlp-relu-20-he",
        "mlp",
        "Twenty layers, He: deep and alive.",
        recipe(lambda: he(mlp(hidden=(64,) * 20)), optimizer=adam(5e-4)),
        steps=250,
        seeds=(0, 1),
    ),
    healthy(
        "mlp-relu-40-residual",
        "mlp",
        "Forty layers with a path around each.",
        recipe(lambda: residual_relu(40), optimizer=adam(1e-3)),
        steps=120,
    ),
    healthy(
        "mlp-selu-20-lecun",
        "mlp",
        "Self-normalising: SELU with LeCun's initialisation.",
        recipe(lambda: lecun(mlp(hidden=(64,) * 20, activation=nn.SELU)), optimizer=adam(5e-4)),
        steps=200,
    ),
    healthy(
        "mlp-gelu-6-he",
        "mlp",
        "GELU is flat far to the left, and only there.",
        recipe(lambda: he(mlp(hidden=(64,) * 6, activation=nn.GELU)), optimizer=adam(1e-3)),
    ),
    healthy(
        "mlp-silu-5-layernorm",
        "mlp",
        "SiLU behind layer norms.",
        recipe(lambda: mlp(hidden=(64,) * 5, activation=nn.SiLU, norm=nn.LayerNorm), optimizer=adam(2e-3)),
    ),
    healthy(
        "mlp-leaky-relu-8-he",
        "mlp",
        "Eight leaky layers.",
        recipe(lambda: he(mlp(hidden=(64,) * 8, activation=nn.LeakyReLU)), optimizer=adam(1e-3)),
    ),
    healthy(
        "mlp-relu6-4",
        "mlp",
        "ReLU6 is flat on both sides and seldom there.",
        recipe(lambda: he(mlp(hidden=(64,) * 4, activation=nn.ReLU6)), optimizer=adam(2e-3)),
    ),
    healthy(
        "mlp-elu-6-sgd",
        "mlp",
        "ELU with momentum.",
        recipe(lambda: xavier(mlp(hidden=(64,) * 6, activation=nn.ELU)), optimizer=sgd(0.02)),
    ),
    healthy(
        "mlp-wide-2048",
        "mlp",
        "A gradient spread over two thousand units is small in each of them.",
        recipe(lambda: he(mlp(hidden=(2048,))), optimizer=adam(1e-3)),
        steps=100,
    ),
    healthy(
        "mlp-tiny-2-units",
        "mlp",
        "Two hidden units: shares of dead units are coarse.",
        recipe(lambda: mlp(4, 3, (2,), nn.Tanh), iris, batch=16, optimizer=adam(0.05)),
        steps=200,
        seeds=(0, 1),
    ),
    healthy(
        "mlp-dropout-half",
        "mlp",
        "Half of the units are 0 on every step, other ones each time.",
        recipe(lambda: he(mlp(hidden=(128, 128), dropout=0.5)), optimizer=adam(2e-3)),
        steps=250,
        seeds=(0, 1),
    ),
    healthy(
        "mlp-fan-in-uneven",
        "mlp",
        "Widths from 16 to 256: norms differ with the fan-in, flow does not.",
        recipe(lambda: he(mlp(hidden=(256, 16, 256, 16, 128))), optimizer=adam(1e-3)),
        steps=200,
    ),
    healthy(
        "linear-regression-diabetes",
        "table",
        "One linear layer; the loss stands high because noise is left.",
        recipe(
            lambda: nn.Linear(10, 1), diabetes, batch=32, loss=functional.mse_loss, score=explained, optimizer=sgd(0.01)
        ),
        steps=200,
        seeds=(0, 1),
    ),
    healthy(
        "logistic-regression-cancer",
        "table",
        "One layer, one output, sigmoid fused with its loss.",
        recipe(lambda: nn.Linear(30, 1), cancer, batch=32, loss=yes_or_no, optimizer=sgd(0.05)),
        seeds=(0, 1),
    ),
    healthy(
        "mlp-noise-floor-diabetes",
        "table",
        "The loss falls to the noise of the target and stays there.",
        recipe(
            lambda: he(mlp(10, 1, (32,))),
            diabetes,
            batch=32,
            loss=functional.mse_loss,
            score=explained,
            optimizer=adam(2e-3),
        ),
        steps=250,
    ),
    healthy(
        "mlp-bce-cancer",
        "table",
        "A yes or no with BCE on logits.",
        recipe(lambda: he(mlp(30, 1, (32, 32))), cancer, batch=32, loss=yes_or_no),
        seeds=(0, 1),
    ),
    healthy(
        "mlp-linnerud-batch-4",
        "table",
        "Fifteen people, batches of four, layer norms.",
        recipe(
            lambda: mlp(3, 3, (16,), nn.Tanh, norm=nn.LayerNorm),
            data.exercise,
            batch=4,
            loss=functional.mse_loss,
            score=explained,
            optimizer=adam(2e-3),
        ),
        steps=150,
    ),
    healthy(
        "mlp-batch-1-layernorm",
        "mlp",
        "Batches of one row; a layer norm does not mind.",
        recipe(lambda: mlp(13, 3, (32, 32), nn.ReLU, norm=nn.LayerNorm), wine, batch=1, optimizer=adam(1e-3)),
        steps=400,
    ),
)
