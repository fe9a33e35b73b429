"""The layer table of a packed matrix: what its columns and rows are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from typing import Any

from lightning_gradwatch import __version__
from lightning_gradwatch.errors import UnreadableRecord
from lightning_gradwatch.records import Anatomy, LayerProfile, Ledger, Operation, Segment
from lightning_gradwatch.records.codec import decode, dumps, loads
from lightning_gradwatch.records.lines import check_format

VERSION = 1  # raised whenever a reader of the previous version would misread what is written

_COLUMNS = ("activation", "linear", "norm", "other")


@dataclass(frozen=True, kw_only=True)
class Stat:
    """One row of the matrix."""

    name: str  # the field of LayerProfile
    unit: str
    enc: str  # "linear", or "log10f16": its log10 is stored


STATS = (
    Stat(name="flow", unit="decades", enc="linear"),
    *(Stat(name=column, unit="decades", enc="linear") for column in _COLUMNS),
    Stat(name="slope", unit="share", enc="linear"),
    Stat(name="dead", unit="share", enc="linear"),
    Stat(name="rms", unit="gradient", enc="log10f16"),
    Stat(name="update", unit="||dw||/||w||", enc="log10f16"),
)


@dataclass(frozen=True, kw_only=True)
class Part:
    """The segments of one layer that share a column of the profile, as far as they are the same on every step."""

    column: str  # "activation", "linear", "norm" or "other"
    family: str
    label: str
    modules: tuple[str, ...] = ()
    operations: tuple[tuple[str, str], ...] = ()  # (name, family), most frequent first
    reused: bool = False

    def segment(
        self, layer: str, *, decades: float, position: float, slope: float | None, dead: float | None
    ) -> Segment:
        """The part with the numbers of one step."""
        share = 1 / max(1, len(self.operations))
        return Segment(
            label=self.label,
            layer=layer,
            modules=self.modules,
            operations=tuple(Operation(name=name, family=family, share=share) for name, family in self.operations),
            family=self.family,
            decades=decades,
            position=position,
            slope=slope,
            dead=dead,
            reused=self.reused,
        )


@dataclass(frozen=True, kw_only=True)
class LayerEntry:
    """One column of the matrix."""

    name: str
    type: str  # its class; "" where unknown
    depth: int  # 0 at the head
    params: int  # number of elements; 0 where unknown
    parts: tuple[Part, ...] = ()  # loss first


@dataclass(frozen=True, kw_only=True)
class Table:
    """All of it."""

    version: int
    schema: str
    layers: tuple[LayerEntry, ...]
    stats: tuple[Stat, ...]
    ledger: str = "loss"  # name of the ledger
    target: str = ""  # the parameter whose layer is the last column
    config: dict[str, Any] = field(default_factory=dict[str, Any])
    package_version: str = ""


def entries(ledger: Ledger, rows: Sequence[LayerProfile], anatomy: Anatomy | None) -> tuple[LayerEntry, ...]:
    """The columns for the profile ``rows`` of that ledger."""
    known = {layer.name: layer for layer in anatomy.layers} if anatomy else {}
    stretches = [tuple(group) for _, group in groupby(ledger.body, key=lambda segment: segment.layer)]
    stretches += [()] * (len(rows) - len(stretches))  # the profile adds the target layer where no segment acts on it
    return tuple(
        LayerEntry(
            name=row.layer,
            type=known[row.layer].type if row.layer in known else "",
            depth=depth,
            params=known[row.layer].parameters if row.layer in known else 0,
            parts=tuple(_parts(stretch)),
        )
        for depth, (row, stretch) in enumerate(zip(rows, stretches, strict=True))
    )


def _parts(stretch: tuple[Segment, ...]) -> Iterator[Part]:
    columns: dict[str, list[Segment]] = {}
    for segment in stretch:
        columns.setdefault(segment.family if segment.family in _COLUMNS else "other", []).append(segment)
    for column, segments in columns.items():
        yield Part(
            column=column,
            family=_common([segment.family for segment in segments]),
            label=segments[0].label,
            modules=tuple(dict.fromkeys(module for segment in segments for module in segment.modules)),
            operations=tuple(dict.fromkeys((op.name, op.family) for segment in segments for op in segment.operations)),
            reused=any(segment.reused for segment in segments),
        )


def _common(families: list[str]) -> str:
    """One family for several; pooling and slicing stay what they are, because they are judged apart."""
    return families[0] if len(set(families)) == 1 or set(families) <= {"pool", "shape"} else "block"


@lru_cache(maxsize=16)
def write_table(layers: tuple[LayerEntry, ...], ledger: str, target: str, config: str) -> tuple[str, bytes]:
    """The table's 8 hexadecimal digits, and itself as JSON.  Cached: it is the same on nearly every step of a fit.

    Args:
        layers: its columns.
        ledger: name of the ledger.
        target: the parameter whose layer is the last column.
        config: the watch's settings as JSON; no part of the digits.
    """
    body = {"layers": layers, "stats": STATS, "ledger": ledger, "target": target}
    schema = hashlib.blake2b(dumps(body).encode(), digest_size=4).hexdigest()
    content = {
        "version": VERSION,
        "schema": schema,
        **body,
        "config": loads(config, "config"),
        "package_version": __version__,
    }
    return schema, dumps(content).encode()


@lru_cache(maxsize=16)
def read_table(metadata: bytes) -> Table:
    """The table from its JSON.

    Raises:
        UnreadableRecord: it is not one of ours, it is damaged, or it is newer than this version.
    """
    try:
        data: Any = loads(metadata.decode(), "layer table")
    except UnicodeDecodeError:
        raise UnreadableRecord("layer table: not text.") from None
    check_format(data.get("version") if isinstance(data, dict) else None, "layer table")
    table = decode(Table, data)
    if not all(part.column in _COLUMNS for layer in table.layers for part in layer.parts):
        raise UnreadableRecord(f"layer table {table.schema!r}: a part stands in a column that is none.")
    return table
