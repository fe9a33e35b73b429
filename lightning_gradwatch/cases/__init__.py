"""Small sick and healthy networks by cause, on real data that ships with scikit-learn: demo, docs, tests, benchmark."""

from lightning_gradwatch.cases.catalogue import CASES, Case, find
from lightning_gradwatch.cases.fitting import Fit, fit

__all__ = ["CASES", "Case", "Fit", "find", "fit"]
