"""Frames -> findings: one file per kind of sickness, found by scanning this folder.  Plain Python, no torch.

A detector looks at one frame and names symptoms; ``judge`` asks for persistence, keeps findings apart and notices when
they heal.  A new kind is a new file with a class that has ``kind`` and ``examine``.
"""

from lightning_gradwatch.detect.judge import Change, Judge, detectors
from lightning_gradwatch.detect.symptom import Detector, Symptom

__all__ = ["Change", "Detector", "Judge", "Symptom", "detectors"]
