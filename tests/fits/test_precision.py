"""True numbers under mixed precision: what the watch reads is the user's own gradient, whatever the scaler does."""

import importlib

import pytest
import torch

from lightning_gradwatch import GradWatch
from tests.callbacks.fits import NAMESPACES, data, module, network, trainer

STEPS = 6


def watched(namespace=NAMESPACES[0], optimizer=None, scaler=None, precision="32-true", sick=False, **options):
    """The watch after a short fit."""
    watch = GradWatch(every_n_steps=1, strict=True)
    fitted = module(namespace, network(sick), "SGD", rate=0.01)
    if optimizer is not None:
        fitted.configure_optimizers = lambda: optimizer(fitted.parameters())
    if scaler is not None:
        plugin = importlib.import_module(f"{namespace}.plugins.precision").MixedPrecision("16-mixed", "cpu", scaler)
        options["plugins"] = [plugin]
    else:
        options["precision"] = precision
    trainer(namespace, [watch], max_steps=STEPS, **options).fit(fitted, data())
    return watch


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true"])
def test_other_precisions_read_the_same_within_their_rounding(precision):
    def norms(precision):
        watch = GradWatch(every_n_steps=1, strict=True)
        fitted = module(NAMESPACES[0], network(False), "SGD", rate=0.01)
        batches = [(x.to(torch.float64) if precision == "64-true" else x, y) for x, y in data()]
        if precision == "bf16-true":
            batches = [(x.bfloat16(), y) for x, y in batches]
        loader = torch.utils.data.DataLoader(batches, batch_size=None)
        trainer(NAMESPACES[0], [watch], max_steps=2, precision=precision).fit(fitted, loader)
        return [frame.norm for frame in watch.report.frames]

    assert norms(precision) == pytest.approx(norms("32-true"), rel=1e-4 if precision == "64-true" else 0.1)


def test_a_scaler_hides_no_sickness():
    watch = watched(scaler=torch.amp.GradScaler("cpu", init_scale=128.0), sick=True)
    [finding] = watch.report.findings
    assert (finding.kind, finding.causes[0].kind) == ("vanishing", "activation")
    assert "underflows to zero" in finding.summary  # half precision ends at 6e-8
