"""Causes put to the trial one by one, whether a rule would name them or not."""

from torch import nn

from lightning_gradwatch.cases.data import training_batches
from lightning_gradwatch.diagnose import rule
from lightning_gradwatch.records import Cause, Finding, Kind, Severity
from lightning_gradwatch.remedies.surgery.ground import own_ground
from lightning_gradwatch.verify import prove
from lightning_gradwatch.verify.bench import Bench
from lightning_gradwatch.verify.interventions import Scene
from lightning_gradwatch.verify.objective import Objective
from lightning_gradwatch.verify.subject import Subject
from lightning_gradwatch.verify.yardstick import ledger_of


def digits():
    """One batch of real data."""
    return next(iter(training_batches()))


def cause(code, share=1.0, recovered=None):
    found = rule(code)
    return Cause(kind=found.kind, code=code, title=found.title, share=share, sentence="said", recovered=recovered)


def finding(*codes, name="vanishing:loss", kind=None, layers=("0",)):
    """A finding that these rules are said to explain."""
    kind = kind or (Kind.DISCONNECTED if name == "zero" else Kind(name.partition(":")[0].removesuffix("_in_time")))
    causes = tuple(cause(code, 1 / len(codes)) for code in codes)
    return Finding(
        id=name,
        kind=kind,
        severity=Severity.WARNING,
        summary="said",
        layers=layers,
        first_step=0,
        last_step=0,
        causes=causes,
    )


def tried(network, code, batch=None, loss=None, **kinds):
    """The cause of that code after its trial."""
    return prove(finding(code, **kinds), network, digits() if batch is None else batch, loss).causes[0]


def scene(network, batch=None, loss=None, beginning=None, **kinds):
    """What an intervention is given; its model is a copy of the network."""
    found = finding("GW101", **kinds)
    with own_ground(0):
        subject = Subject(network, 1, 0)
        bench = Bench(subject.another, Objective(loss), digits() if batch is None else batch, 0)
        frame = bench.before
        return Scene(subject.another(), found, frame, ledger_of(found, frame), beginning or {})


class Functional(nn.Module):
    """The same networks as ``cases.networks.mlp``, with an activation that is no module."""

    def __init__(self, act, depth=20, std=None):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(depth))
        self.head, self.act = nn.Linear(64, 10), act
        for layer in self.layers if std else ():
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        for layer in self.layers:
            x = self.act(layer(x))
        return self.head(x)
