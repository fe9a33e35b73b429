"""The nouns: frozen records that flow between the verbs.  Plain Python, no torch, all of them JSON.

``Frame`` (one measured step) holds ``Ledger``s of ``Segment``s, ``ParameterReading``s and ``OptimizerReading``s;
``Finding`` holds ``Cause``s and ``Remedy`` advices; ``Event`` says what was done; ``Anatomy`` says what the network is
made of.
"""

from lightning_gradwatch.records.accepted import Accepted
from lightning_gradwatch.records.anatomy import Anatomy, Layer
from lightning_gradwatch.records.event import Event
from lightning_gradwatch.records.finding import Cause, CauseKind, Finding, Kind, Quantity, Remedy, Severity
from lightning_gradwatch.records.forecast import Forecast
from lightning_gradwatch.records.frame import Frame, Ledger, Operation, OptimizerReading, ParameterReading, Segment
from lightning_gradwatch.records.inner import Fault, OperationReading, TimeProfile
from lightning_gradwatch.records.profile import LayerProfile, profile

__all__ = [
    "Accepted",
    "Anatomy",
    "Cause",
    "CauseKind",
    "Event",
    "Fault",
    "Finding",
    "Forecast",
    "Frame",
    "Kind",
    "Layer",
    "LayerProfile",
    "Ledger",
    "Operation",
    "OperationReading",
    "OptimizerReading",
    "ParameterReading",
    "Quantity",
    "Remedy",
    "Segment",
    "Severity",
    "TimeProfile",
    "profile",
]
