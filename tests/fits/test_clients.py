"""Lightning's own demos, and a third-party package (PyTorch Geometric)"""

import importlib
import math
import random

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tests.callbacks.fits import NAMESPACES, trainer
from tests.fits.modules import strict

TOKENS, LENGTH = 32, 16


def text():
    """A Markov chain of three ways out of each token: a language that can be learnt."""
    generator = torch.Generator().manual_seed(0)
    ways = torch.randint(0, TOKENS, (TOKENS, 3), generator=generator)
    told = [0]
    for way in torch.randint(0, 3, (160 * LENGTH,), generator=generator).tolist():
        told.append(int(ways[told[-1], way]))
    tokens = torch.tensor(told)
    return TensorDataset(tokens[:-1].view(-1, LENGTH), tokens[1:].view(-1, LENGTH))


def language(namespace, name, **options):
    """One of Lightning's demo language models, of which only the download of its data is left out."""
    home = importlib.import_module(f"{namespace}.demos.{name.lower()}")
    model = getattr(home, f"Lightning{name}")(vocab_size=TOKENS)
    model.prepare_data = lambda: None
    return model, DataLoader(text(), 8), options


def manual(namespace):
    """Lightning's demo of manual optimisation, with eight sigmoids in a row."""
    boring = importlib.import_module(f"{namespace}.demos.boring_classes")
    model = boring.ManualOptimBoringModel()
    blocks = [nn.Sequential(nn.Linear(32, 32), nn.Sigmoid()) for _ in range(8)]
    model.layer = nn.Sequential(*blocks, nn.Linear(32, 2))
    return model, DataLoader(boring.RandomDataset(32, 400), 8), {"limit_val_batches": 0}


def scaled(namespace):
    """The demo transformer in float16 with a gradient scaler that first has to find its scale."""
    plugins = importlib.import_module(f"{namespace}.plugins.precision")
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**20)
    return language(namespace, "Transformer", plugins=[plugins.MixedPrecision("16-mixed", "cpu", scaler)])


def graphs(namespace):
    """A deep residual graph network of PyTorch Geometric's layers, fed by its own loader."""
    pytest.importorskip("torch_geometric")
    from torch_geometric.datasets import FakeDataset
    from torch_geometric.loader import DataLoader
    from torch_geometric.nn import DeepGCNLayer, GENConv, global_mean_pool

    pl = importlib.import_module(namespace)

    class Net(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.stem, self.head = nn.Linear(8, 16), nn.Linear(16, 3)
            self.blocks = nn.ModuleList(
                DeepGCNLayer(GENConv(16, 16, learn_t=True), nn.LayerNorm(16), nn.ReLU(inplace=True), block="res+")
                for _ in range(5)
            )

        def training_step(self, batch, batch_idx):
            x = self.stem(batch.x)
            for block in self.blocks:
                x = block(x, batch.edge_index)
            return nn.functional.cross_entropy(self.head(global_mean_pool(x, batch.batch)), batch.y)

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), 2e-3)

    random.seed(0)  # which the made-up graphs are drawn with
    torch.manual_seed(0)
    made = FakeDataset(num_graphs=80, avg_num_nodes=8, avg_degree=3, num_channels=8, num_classes=3, task="graph")
    return Net(), DataLoader(made, 8), {}


CLIENTS = {
    "demo LightningTransformer": (lambda namespace: language(namespace, "Transformer"), []),
    "demo LightningLSTM": (lambda namespace: language(namespace, "LSTM", gradient_clip_val=0.25), []),
    "demo transformer, 16-mixed with a GradScaler": (scaled, []),
    "demo ManualOptimBoringModel, eight sigmoids": (manual, [("vanishing", "activation")]),
    "PyTorch Geometric, deep residual graph network": (graphs, []),
}


def both():
    """Each client in both namespaces: always in one of them, by turns, and in the other where time is no matter."""
    for i, (name, (build, found)) in enumerate(CLIENTS.items()):
        for k, namespace in enumerate(NAMESPACES):
            marks = pytest.mark.slow if (i + k) % 2 else ()
            yield pytest.param(build, found, namespace, id=f"{name}-{namespace}", marks=marks)


@pytest.mark.parametrize(("build", "found", "namespace"), list(both()))
def test_the_same_fit_and_no_word_that_we_would_not_sign(build, found, namespace):
    def fit(callbacks):
        torch.manual_seed(0)
        model, data, options = build(namespace)
        torch.manual_seed(1)
        runner = trainer(namespace, callbacks, **{"max_steps": 20, "max_epochs": -1} | options)
        runner.fit(model, data)
        return [parameter.detach().clone() for parameter in model.parameters()]

    plain, watch = fit([]), strict()
    watched = fit([watch])
    assert all(torch.equal(a, b) for a, b in zip(plain, watched, strict=True))
    alarms = [finding for finding in watch.report.findings if finding.is_alarm]
    assert [(finding.kind, finding.causes[0].kind) for finding in alarms] == found
    assert len(watch.report.frames) == 20
    assert any(math.isfinite(frame.norm) for frame in watch.report.frames)
