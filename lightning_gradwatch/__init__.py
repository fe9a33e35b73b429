"""Watches how gradients flow through any PyTorch Lightning fit: whether they die, where, why, and what to do.

The public names are loaded on first use: importing this package loads neither torch nor Lightning, so that reading a
recording or opening TensorBoard stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning_gradwatch.callbacks.gradwatch import GradWatch
    from lightning_gradwatch.callbacks.loop import LoopWatch
    from lightning_gradwatch.errors import GradWatchError, MissingExtra, UnreadableRecord, WrongArgument
    from lightning_gradwatch.measure.metrics import GradientNorm, UpdateRatio
    from lightning_gradwatch.records import Cause, CauseKind, Event, Finding, Forecast, Frame, Kind, Remedy, Severity
    from lightning_gradwatch.report.report import Report
    from lightning_gradwatch.verify.checkup import checkup

__version__ = "0.1.0"

__all__ = [
    "Cause",
    "CauseKind",
    "Event",
    "Finding",
    "Forecast",
    "Frame",
    "GradWatch",
    "GradWatchError",
    "GradientNorm",
    "Kind",
    "LoopWatch",
    "MissingExtra",
    "Remedy",
    "Report",
    "Severity",
    "UnreadableRecord",
    "UpdateRatio",
    "WrongArgument",
    "__version__",
    "checkup",
]

# Where each public name lives.  Written twice, here and under TYPE_CHECKING, because type checkers read only the
# latter; a test keeps both and __all__ equal.
_HOMES = {
    "callbacks.gradwatch": ("GradWatch",),
    "callbacks.loop": ("LoopWatch",),
    "errors": ("GradWatchError", "MissingExtra", "UnreadableRecord", "WrongArgument"),
    "measure.metrics": ("GradientNorm", "UpdateRatio"),
    "records": ("Cause", "CauseKind", "Event", "Finding", "Forecast", "Frame", "Kind", "Remedy", "Severity"),
    "report.report": ("Report",),
    "verify.checkup": ("checkup",),
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
