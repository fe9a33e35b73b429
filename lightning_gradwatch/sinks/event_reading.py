"""The values of event files, as the records that they were made from."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lightning_gradwatch.errors import UnreadableRecord
from lightning_gradwatch.records import Frame, OptimizerReading
from lightning_gradwatch.records.codec import decode, loads
from lightning_gradwatch.records.lines import Changes, Record, check_format, parse
from lightning_gradwatch.sinks import event_files, event_values, packed, tensorboard

_CURVES = (
    "gradwatch/loss",
    "gradwatch/learning_rate",
    "gradwatch/learning_rate_scale",
    "gradwatch/gradient_norm",
    "gradwatch/clip_ratio",
)


class EventReader:
    """Reads the event files of one run, oldest first: metadata stands on the first event of a tag only."""

    def __init__(self) -> None:
        self.found = False  # whether anything of ours was seen
        self._metadata: dict[str, bytes] = {}
        self._curves: dict[str, dict[int, float]] = {key: {} for key in _CURVES}

    def records(self, path: Path) -> Iterator[Record]:
        """The records of one file.

        Raises:
            UnreadableRecord: a value of ours is damaged, or the file is.
            HalfWritten: after its last whole event, where the file goes on behind it.
        """
        for step, value in event_files.values(path):
            try:
                record = self._record(step, value)
            except UnreadableRecord as error:
                raise UnreadableRecord(f"{str(path)!r}, {value.tag[:60]!r} at step {step}: {error}") from None
            if record is not None:
                yield record

    def completed(self, frame: Frame) -> Frame:
        """The frame with what the curves know beyond the matrix: loss, first learning rate and its scale, clipping."""
        loss, rate, scale, norm, ratio = (self._curves[key].get(frame.step, math.nan) for key in _CURVES)
        return replace(
            frame,
            loss=None if math.isnan(loss) else loss,
            rates=() if math.isnan(rate) else (rate,),
            rate_scale=1.0 if math.isnan(scale) else scale,
            optimizers=() if math.isnan(norm * ratio) else (_stepped(norm, norm * ratio),),
        )

    def _record(self, step: int, value: Any) -> Record | None:
        plugin = value.metadata.plugin_data
        if plugin.plugin_name == event_values.PLUGIN:
            self._metadata.setdefault(value.tag, plugin.content)
        if value.tag in self._curves and value.WhichOneof("value") == "simple_value":
            self._curves[value.tag][step] = value.simple_value
        if value.tag not in self._metadata:  # the user's own, or a curve
            return None
        self.found = True
        if value.tag.startswith(packed.TAG):
            return packed.unpack(_matrix(value.tensor), self._metadata[value.tag], step)
        if value.tag == tensorboard.START_TAG:
            return parse(_text(value.tensor))
        if value.tag == tensorboard.FINDINGS_TAG:
            version = loads(self._metadata[value.tag].decode("ascii", "replace"), "metadata")
            check_format(version.get("version") if isinstance(version, dict) else None, "metadata")
            return decode(Changes, loads(_text(value.tensor)))
        return None


def _matrix(tensor: Any) -> np.ndarray:
    """The tensor, if it is a float16 matrix stored as bytes; a shape that its bytes do not fill asks for memory."""
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    size = 2 * math.prod(shape)
    if (
        tensor.dtype != event_values.protos("types").DT_HALF
        or len(shape) != 2
        or min(shape) < 0
        or len(tensor.tensor_content) != size
    ):
        raise UnreadableRecord(f"not a float16 matrix of shape {shape}.")
    return np.frombuffer(tensor.tensor_content, dtype="<f2").reshape(shape)


def _text(tensor: Any) -> str:
    if len(tensor.string_val) != 1:
        raise UnreadableRecord("not one text.")
    try:
        return tensor.string_val[0].decode("utf-8")
    except UnicodeDecodeError:
        raise UnreadableRecord("not text.") from None


def _stepped(norm: float, used: float) -> OptimizerReading:
    """Of several optimizers the curves know the whole only."""
    return OptimizerReading(index=0, name="", norm=norm, used=used)
