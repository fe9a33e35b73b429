"""How the optimizers stepped: clipped, skipped, in short windows; one plain sentence for each that there is to say."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from lightning_gradwatch.records import Frame
from lightning_gradwatch.report import words

# A gradient that keeps less than this share of its length was clipped, not rounded.
_CLIPPED = 0.999


def stepping(frames: Sequence[Frame]) -> tuple[str, ...]:
    """What a reader of the gradients should know of the steps that were made with them.

    Example:
        >>> stepping([Frame(step=0, global_step=0, epoch=0, batch=0, loss=None, skipped_steps=3, loss_scale=64.0)])
        ('The AMP scaler has skipped 3 steps so far; the loss scale is 64.',)
    """
    return (*_clipping(frames), *_skipping(frames), *_windows(frames))


def _clipping(frames: Sequence[Frame]) -> Iterator[str]:
    readings = [reading for frame in frames if not frame.skipped for reading in frame.optimizers]
    for index in sorted({reading.index for reading in readings}):
        own = [reading for reading in readings if reading.index == index]
        ratios = [ratio for reading in own if (ratio := reading.clip_ratio) is not None]
        clipped = [ratio for ratio in ratios if ratio < _CLIPPED]
        if clipped:
            whose = f" of {words.short(own[-1].name, 40)}" if own[-1].name else ""
            yield (
                f"Clipping{whose}: {len(clipped)} of {words.count(len(ratios), 'measured step')} "
                f"({words.percent(len(clipped) / len(ratios))}); it left {_left(clipped)} of the gradient's length "
                "(median)."
            )


def _left(ratios: Sequence[float]) -> str:
    return f"{100 * statistics.median(ratios):.2g} %"


def _skipping(frames: Sequence[Frame]) -> Iterator[str]:
    last = frames[-1] if frames else None
    if last is not None and last.skipped_steps:
        yield (
            f"The AMP scaler has skipped {words.count(last.skipped_steps, 'step')} so far; "
            f"the loss scale is {last.loss_scale:g}."
        )


def _windows(frames: Sequence[Frame]) -> Iterator[str]:
    short = [frame for frame in frames if frame.short_window]
    if short:
        one = short[-1]
        yield (
            f"{words.count(len(short), 'measured step')} ended a short accumulation window (the last at step {one.step}"
            f": {one.micro_batches} of {one.accumulation} micro-batches): Lightning divides by the full number there, "
            "so that the gradient is that much smaller."
        )
