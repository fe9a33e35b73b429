"""What helps against which cause: one file a remedy, found by scanning this folder."""

from lightning_gradwatch.remedies.base import Advice, Cure, RemedyRule
from lightning_gradwatch.remedies.prescription import prescribe
from lightning_gradwatch.remedies.registry import remedies

__all__ = ["Advice", "Cure", "RemedyRule", "prescribe", "remedies"]
