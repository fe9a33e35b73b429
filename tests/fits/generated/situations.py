"""One fit as plain words, and the strategy that draws any fit that Lightning itself accepts."""

from dataclasses import dataclass

from hypothesis import strategies as st

from tests.callbacks.fits import NAMESPACES
from tests.fits.generated import beside as by
from tests.fits.generated import optimizers as opt
from tests.fits.generated.networks import NETWORKS, SIMPLE

CLIPPING = ("none", "norm", "value", "own hook")
LOADERS = ("one loader", "CombinedLoader", "iterable")
FLAGS = ("validation", "detect_anomaly", "deterministic", "gradient penalty")


@dataclass(frozen=True)
class Situation:
    """One fit, without its watch."""

    namespace: str
    network: str
    optimizer: str
    scheduler: str
    interval: str
    precision: str
    accumulate: int
    clipping: str
    logger: str
    beside: str
    loaders: str
    manual: bool
    flags: frozenset


@st.composite
def situations(draw):
    """Any fit: the network first, then whatever goes with what is drawn so far."""

    def pick(among, fits=lambda name: True):
        return draw(st.sampled_from([name for name in among if fits(name)]))

    network = pick(NETWORKS)
    optimizer = pick(opt.OPTIMIZERS, lambda name: _trains(name, network))
    manual = optimizer in opt.SEVERAL or (optimizer not in opt.CLOSURE and draw(st.booleans()))
    logger = pick(by.LOGGERS)
    beside = pick(by.BESIDE, lambda name: _stands_beside(name, network, optimizer, manual, logger))
    plain = optimizer in opt.CLOSURE or beside in by.PARTICULAR
    precision = pick(by.PRECISIONS, lambda name: _computes(name, network, optimizer, plain))
    return Situation(
        namespace=pick(NAMESPACES),
        network=network,
        optimizer=optimizer,
        scheduler=pick(opt.SCHEDULERS, lambda name: _schedules(name, optimizer, beside)),
        interval=pick(("step", "epoch")),
        precision=precision,
        accumulate=1 if manual or plain or "Accumulation" in beside else pick((1, 2, 3)),
        clipping=pick(CLIPPING, lambda name: _clips(name, network, optimizer)),
        logger=logger,
        beside=beside,
        loaders="one loader" if "Finder" in beside else pick(LOADERS),
        manual=manual,
        flags=frozenset(flag for flag in FLAGS if draw(st.booleans()) and _has(flag, network, precision, plain)),
    )


def _trains(optimizer, network):
    if network == "sparse embedding":
        return optimizer in opt.SPARSE
    if network == "complex":
        return optimizer in opt.COMPLEX
    if optimizer == "Muon":  # wants matrices
        return network not in ("recurrent cell", "cnn")
    return optimizer != "SparseAdam beside Adam"


def _stands_beside(name, network, optimizer, manual, logger):
    if name in by.NEEDS_LOGGER:
        return logger != "no logger"
    if name in by.PARTICULAR or name == "BatchSizeFinder":
        return network in SIMPLE[:2] and optimizer in ("SGD", "Adam") and not manual
    if name in ("WeightAveraging", "EMAWeightAveraging"):  # they deep-copy the module
        return network not in ("own gradient hooks", "lazy", "weight norm", "spectral norm")
    return not (manual and name == "GradientAccumulationScheduler")


def _computes(precision, network, optimizer, plain):
    if precision.startswith("16-mixed"):
        return not plain and network not in ("complex", "spectral norm") and optimizer not in opt.SEVERAL
    if network == "complex":
        return precision == "32-true"
    if precision == "bf16-true":
        return optimizer not in opt.CLOSURE
    return True


def _schedules(name, optimizer, beside):
    if beside in by.PARTICULAR or optimizer in opt.SEVERAL:
        return name == "none"
    return name not in opt.NEEDS_MOMENTUM or optimizer in opt.HAS_MOMENTUM


def _clips(clipping, network, optimizer):
    if clipping == "none":
        return True
    if network == "complex":
        return clipping == "norm"
    return network != "sparse embedding" and optimizer not in (*opt.CLOSURE, *opt.FUSED)


def _has(flag, network, precision, plain):
    if flag == "detect_anomaly":
        return not precision.startswith("16-mixed")  # an overflow is what it is there to raise for
    if flag == "gradient penalty":
        return network in SIMPLE and precision in ("32-true", "64-true") and not plain
    return flag != "deterministic" or network not in ("embedding", "sparse embedding")
