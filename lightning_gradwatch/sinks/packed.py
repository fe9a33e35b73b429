"""One measured step as one small matrix: what the GradWatch tab draws, and what an old run is judged from again.

A row is a statistic, a column a layer from the head down, a value a float16: 18 bytes a layer and step, where a curve
for each layer and statistic would cost about a kilobyte.  The layer table travels once, as the metadata of the tag's
first event; its hash is in the tag, so that a network that grows or freezes while it is fitted starts a new matrix.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lightning_gradwatch.errors import UnreadableRecord
from lightning_gradwatch.records import Anatomy, Frame, LayerProfile, Ledger, ParameterReading, Segment, profile
from lightning_gradwatch.records.codec import dumps
from lightning_gradwatch.sinks.layer_table import STATS, LayerEntry, Stat, Table, entries, read_table, write_table

TAG = "gradwatch/stats/"

Matrix = npt.NDArray[np.float16]


@dataclass(frozen=True, kw_only=True, eq=False)
class Packed:
    """One step, ready to be written."""

    tag: str  # "gradwatch/stats/" and the 8 hexadecimal digits of the layer table
    matrix: Matrix  # (statistics, layers)
    metadata: bytes  # the layer table, JSON


def pack(frame: Frame, anatomy: Anatomy | None, config: Mapping[str, Any]) -> Packed | None:
    """The first ledger of that frame as a matrix; None: there is none, or the AMP scaler skipped the step.

    Norm-like statistics are stored as their log10 ("log10f16": 0 is -inf, unknown is NaN, not finite is inf), because
    a float16 itself ends at 6e-8; decades and shares are stored as they are ("linear": unknown is NaN).

    Args:
        frame: the measured step.
        anatomy: types and sizes for the layer table.
        config: the watch's settings, plain values, for the layer table.
    """
    if frame.skipped or not frame.ledgers:
        return None
    ledger = frame.ledgers[0]
    rows = profile(frame, ledger)
    schema, metadata = write_table(entries(ledger, rows, anatomy), ledger.name, ledger.target, dumps(dict(config)))
    matrix = np.stack([_encoded(stat, rows) for stat in STATS])
    return Packed(tag=f"{TAG}{schema}", matrix=matrix, metadata=metadata)


def unpack(matrix: npt.NDArray[Any], metadata: bytes, step: int) -> Frame:
    """The frame that ``pack`` made this matrix from, as far as the matrix knows it.

    Segments of one column and layer come back as one, all parameters of a layer as one; the part of the ledger that
    belongs to the loss is not kept, nor are the loss and the learning rates.

    Args:
        matrix: (statistics, layers), any floating type.
        metadata: the layer table of the tag.
        step: the step of the event.

    Raises:
        UnreadableRecord: the layer table is not one of ours or does not fit the matrix.
    """
    table = read_table(metadata)
    if matrix.shape != (len(table.stats), len(table.layers)):
        raise UnreadableRecord(f"layer table {table.schema!r}: it does not fit a matrix of shape {matrix.shape}.")
    unknown = np.full(len(table.layers), np.nan)
    known = {stat.name: _decoded(stat, row) for stat, row in zip(table.stats, matrix, strict=True)}
    columns = {stat.name: known.get(stat.name, unknown).tolist() for stat in STATS}
    return Frame(
        step=step,
        global_step=step,
        epoch=0,
        batch=0,
        loss=None,
        ledgers=(_ledger(table, columns),) if table.layers else (),
        parameters=_readings(table, columns),
    )


def _encoded(stat: Stat, rows: tuple[LayerProfile, ...]) -> Matrix:
    values = [getattr(row, stat.name) for row in rows]
    with np.errstate(divide="ignore", over="ignore"):
        if stat.enc == "linear":
            return np.array([math.nan if v is None else v for v in values]).astype("<f2")
        finite = [math.nan if v is None else v if math.isfinite(v) else math.inf for v in values]
        return np.log10(np.array(finite)).astype("<f2")


def _decoded(stat: Stat, row: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    if stat.enc == "linear":
        return row.astype(np.float64)
    if stat.enc == "log10f16":
        with np.errstate(over="ignore"):
            return np.power(10.0, row.astype(np.float64))
    raise UnreadableRecord(f"layer table: the encoding {stat.enc!r} of {stat.name!r} is unknown to this version.")


def _ledger(table: Table, columns: dict[str, list[float]]) -> Ledger:
    """Starts at 0 decades: the matrix knows ratios, not sizes."""
    segments: list[Segment] = []
    parts = max(1, sum(len(layer.parts) for layer in table.layers) - 1)
    for i, layer in enumerate(table.layers):
        carrier = next((part for part in layer.parts if part.column == "activation"), next(iter(layer.parts), None))
        for part in layer.parts:
            seen = part is carrier
            segments.append(
                part.segment(
                    layer.name,
                    decades=columns[part.column][i],
                    position=len(segments) / parts,
                    slope=_or_none(columns["slope"][i]) if seen else None,
                    dead=_or_none(columns["dead"][i]) if seen else None,
                )
            )
    last = table.layers[-1].name
    whole = Ledger(
        name=table.ledger, target=table.target, target_layer=last, segments=tuple(segments), start=0.0, end=0.0
    )
    return replace(whole, end=whole.decades)


def _readings(table: Table, columns: dict[str, list[float]]) -> tuple[ParameterReading, ...]:
    """One for every layer of which anything is known: of the others nobody can say whether they got a gradient."""
    readings: dict[str, ParameterReading] = {}
    for layer, rms, update in zip(table.layers, columns["rms"], columns["update"], strict=True):
        if not (math.isnan(rms) and math.isnan(update)):
            readings[layer.name] = _reading(layer, _or_none(rms), _or_none(update))
    return tuple(readings.values())


def _reading(layer: LayerEntry, rms: float | None, update: float | None) -> ParameterReading:
    size = max(1, min(layer.params, 1 << 60))
    return ParameterReading(
        name=f"{layer.name}.weight" if layer.name else "weight",
        size=size,
        optimizer=0,
        norm=None if rms is None else rms * math.sqrt(size),
        rms=rms,
        max=None,
        zeros=1.0 if rms == 0 else None,
        nonfinite=1 if rms == math.inf else 0,
        update=update,
    )


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
