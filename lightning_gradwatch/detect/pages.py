"""What is looked for, detector by detector, as pages for people."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator

from lightning_gradwatch.detect.judge import THRESHOLDS, detectors
from lightning_gradwatch.detect.symptom import Detector
from lightning_gradwatch.records import Kind, history
from lightning_gradwatch.records.threshold import table

_COMMON = (*THRESHOLDS, *history.THRESHOLDS)


def kind_page(kind: Kind) -> str:
    """What our detectors look for under that kind, and the numbers that they decide by, in Markdown.

    Args:
        kind: of finding.

    Example:
        >>> kind_page(Kind.SATURATION).splitlines()[0]
        '# saturation'
    """
    parts = [f"# {kind}"]
    for detector in detectors():
        if detector.kind is kind:
            parts += _detector(detector)
    return "\n\n".join([*parts, "## Every kind", table(_COMMON)]) + "\n"


def sections() -> Iterator[str]:
    """All detectors of ours with their thresholds, a section each; then what they have in common."""
    for detector in detectors():
        yield "\n\n".join([f"### {type(detector).__name__} ({detector.kind})", *_told(detector)])
    yield "\n\n".join(["### Every kind", table(_COMMON)])


def sagemaker() -> Iterator[str]:
    """The rules of SageMaker Debugger, a section each."""
    for detector in detectors("sagemaker"):
        text = inspect.getdoc(type(detector)) or ""
        yield "\n\n".join(filter(None, [f"### {type(detector).__name__}", text, table(detector.thresholds)]))


def _detector(detector: Detector) -> list[str]:
    file = inspect.getdoc(sys.modules[type(detector).__module__]) or ""
    return [f"## {type(detector).__name__}", file, *_told(detector)]


def _told(detector: Detector) -> list[str]:
    text = inspect.getdoc(type(detector)) or ""
    count = detector.patience
    first = "on the first measured step that shows it" if count == 1 else f"after {count} measured steps that prove it"
    return list(filter(None, [text, f"Opens {first}.", table(detector.thresholds)]))
