"""Watches how gradients flow through any PyTorch Lightning fit: whether they die, where, why, and what to do.

The public names are loaded on first use: importing this package loads neither torch nor Lightning, so that reading a
recording or opening TensorBoard stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning_gradwatch.callbacks.gradwatch import GradWatch
    from lightning_gradwatch.callbacks.heal import heal
    from lightning_gradwatch.callbacks.loop import LoopWatch
    from lightning_gradwatch.errors import GradWatchError, MissingExtra, UnreadableRecord, WrongArgument
    from lightning_gradwatch.measure.metrics import GradientNorm, UpdateRatio
    from lightning_gradwatch.records import Cause, CauseKind, Event, Finding, Forecast, Frame, Kind, Remedy, Severity
    from lightning_gradwatch.remedies.add_residual import AddResidual
    from lightning_gradwatch.remedies.applied import Applied
    from lightning_gradwatch.remedies.boost_depth_lr import BoostDepthLR
    from lightning_gradwatch.remedies.clip_gradients import ClipGradients
    from lightning_gradwatch.remedies.decay_lr import DecayLR
    from lightning_gradwatch.remedies.initialize import Initialize
    from lightning_gradwatch.remedies.insert_normalization import InsertNormalization
    from lightning_gradwatch.remedies.lower_decay import LowerDecay
    from lightning_gradwatch.remedies.pretrain_layerwise import PretrainLayerwise
    from lightning_gradwatch.remedies.raise_rate import RaiseRate
    from lightning_gradwatch.remedies.replace_activation import ReplaceActivation
    from lightning_gradwatch.remedies.scale_input import ScaleInput
    from lightning_gradwatch.remedies.swap_recurrent import SwapRecurrent
    from lightning_gradwatch.remedies.switch_optimizer import SwitchOptimizer
    from lightning_gradwatch.remedies.treatment import Treatment
    from lightning_gradwatch.remedies.warm_up import WarmUp
    from lightning_gradwatch.report.report import Report
    from lightning_gradwatch.verify.checkup import checkup
    from lightning_gradwatch.verify.trial import Verdict, trial

__version__ = "0.1.0"

__all__ = [
    "AddResidual",
    "Applied",
    "BoostDepthLR",
    "Cause",
    "CauseKind",
    "ClipGradients",
    "DecayLR",
    "Event",
    "Finding",
    "Forecast",
    "Frame",
    "GradWatch",
    "GradWatchError",
    "GradientNorm",
    "Initialize",
    "InsertNormalization",
    "Kind",
    "LoopWatch",
    "LowerDecay",
    "MissingExtra",
    "PretrainLayerwise",
    "RaiseRate",
    "Remedy",
    "ReplaceActivation",
    "Report",
    "ScaleInput",
    "Severity",
    "SwapRecurrent",
    "SwitchOptimizer",
    "Treatment",
    "UnreadableRecord",
    "UpdateRatio",
    "Verdict",
    "WarmUp",
    "WrongArgument",
    "__version__",
    "checkup",
    "heal",
    "trial",
]

# Where each public name lives.  Written twice, here and under TYPE_CHECKING, because type checkers read only the
# latter; a test keeps both and __all__ equal.
_HOMES = {
    "callbacks.gradwatch": ("GradWatch",),
    "callbacks.heal": ("heal",),
    "callbacks.loop": ("LoopWatch",),
    "errors": ("GradWatchError", "MissingExtra", "UnreadableRecord", "WrongArgument"),
    "measure.metrics": ("GradientNorm", "UpdateRatio"),
    "records": ("Cause", "CauseKind", "Event", "Finding", "Forecast", "Frame", "Kind", "Remedy", "Severity"),
    "remedies.add_residual": ("AddResidual",),
    "remedies.applied": ("Applied",),
    "remedies.boost_depth_lr": ("BoostDepthLR",),
    "remedies.clip_gradients": ("ClipGradients",),
    "remedies.decay_lr": ("DecayLR",),
    "remedies.initialize": ("Initialize",),
    "remedies.insert_normalization": ("InsertNormalization",),
    "remedies.lower_decay": ("LowerDecay",),
    "remedies.pretrain_layerwise": ("PretrainLayerwise",),
    "remedies.raise_rate": ("RaiseRate",),
    "remedies.replace_activation": ("ReplaceActivation",),
    "remedies.scale_input": ("ScaleInput",),
    "remedies.swap_recurrent": ("SwapRecurrent",),
    "remedies.switch_optimizer": ("SwitchOptimizer",),
    "remedies.treatment": ("Treatment",),
    "remedies.warm_up": ("WarmUp",),
    "report.report": ("Report",),
    "verify.checkup": ("checkup",),
    "verify.trial": ("Verdict", "trial"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
