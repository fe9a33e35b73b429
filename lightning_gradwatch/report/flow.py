"""What the frames of a report say about gradient flow, lined up: one row a measured step, one column a layer.

The table, the picture and the verdict all read this.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Sequence

from lightning_gradwatch.records import Finding, Frame, LayerProfile, Ledger, ParameterReading, profile
from lightning_gradwatch.records.flow import charged
from lightning_gradwatch.records.names import module_of

# Decades.  Stricter than what vanishing is judged by: the words of a report are careful before an alarm is due.
_LITTLE = -2.0

Row = tuple[LayerProfile, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flow:
    """Gradient flow by layer and step; decades relative to the head."""

    ledger: str  # name of the ledger; "" where it comes from the gradients of the parameters
    layers: tuple[str, ...]  # head first, target layer last
    steps: tuple[int, ...]
    rows: tuple[tuple[LayerProfile | None, ...], ...]  # rows[i][j]: step i, layer j; None: not there on that step
    opaque: tuple[str, ...] = ()  # what in the graph does not show its inside: its layers' flow is an estimate

    def decades(self, index: int) -> tuple[float, ...]:
        """Decades from the head to every layer on one of the steps; NaN where the layer was not measured."""
        return tuple(math.nan if cell is None else cell.flow for cell in self.rows[index])

    @property
    def arrived(self) -> float:
        """Decades from the head to the deepest measured layer on the last step."""
        return next((cell.flow for cell in reversed(self.rows[-1]) if cell is not None), math.nan)

    @property
    def told(self) -> tuple[str, float]:
        """The layer to speak of and what reaches it on the last step: the deepest, or the most starved."""
        cells = [cell for cell in self.rows[-1] if cell is not None]
        starved = min(cells, key=lambda cell: (cell.flow >= _LITTLE, cell.flow))  # NaN is never the least
        deepest = cells[-1]
        cell = deepest if self.fine or math.isnan(deepest.flow) or deepest.flow <= starved.flow else starved
        return cell.layer, cell.flow

    @property
    def fine(self) -> bool:
        """Whether every layer gets a fair part on the last step: more than a hundredth."""
        return all(cell is None or _LITTLE < cell.flow < math.inf for cell in self.rows[-1])

    def marked(self, finding: Finding) -> tuple[int, ...]:
        """The columns whose layers the finding names: those layers, what they hold and the blocks they stand in."""
        names = set(finding.layers) - {""}
        around = {ancestor for name in names for ancestor in _ancestors(name)}
        return tuple(
            i
            for i, layer in enumerate(self.layers)
            if layer and (layer in around or not names.isdisjoint(_ancestors(layer)))
        )


def flow(frames: Sequence[Frame], findings: Sequence[Finding] = (), limit: int = 32) -> Flow | None:
    """The flow that the frames measured; None: they hold none.

    Args:
        frames: in the order of their steps.
        findings: the ledger that the first of them names in its id ("vanishing:loss") is shown, else the first ledger.
        limit: at most so many frames are read, evenly spread, with the first and the last.
    """
    name = _ledger_name(frames, findings)
    if name is None:
        picked = [(frame, _by_parameters(frame)) for frame in _spread([f for f in frames if f.parameters], limit)]
    else:
        having = [frame for frame in frames if any(ledger.name == name for ledger in frame.ledgers)]
        picked = [(frame, _by_ledger(frame, name)) for frame in _spread(having, limit)]
    shown = _line_up(name or "", [(frame.step, row) for frame, row in picked if len(row) > 1])
    kinds = dict.fromkeys(
        kind for frame, _ in picked for led in frame.ledgers if led.name == name for kind in led.closed
    )
    return dataclasses.replace(shown, opaque=tuple(kinds)) if shown else None


def _ledger_name(frames: Sequence[Frame], findings: Sequence[Finding]) -> str | None:
    names = dict.fromkeys(ledger.name for frame in frames for ledger in frame.ledgers)
    wanted = (finding.id.partition(":")[2] for finding in findings)
    return next((name for name in wanted if name in names), next(iter(names), None))


def _spread(frames: Sequence[Frame], limit: int) -> list[Frame]:
    if len(frames) <= limit:
        return list(frames)
    return [frames[round(i * (len(frames) - 1) / (limit - 1))] for i in range(limit)]


def _by_ledger(frame: Frame, name: str) -> Row:
    ledger = next(ledger for ledger in frame.ledgers if ledger.name == name)
    return tuple(_settled(profile(frame, _as_judged(ledger))))


def _as_judged(ledger: Ledger) -> Ledger:
    """The ledger as the detectors read it (see ``records.flow``), with one kind of infinity at most.

    A path that overflows in one place and dies in another has no sum: its infinities become unknown.
    """
    decades = [charged(segment) for segment in ledger.segments]
    if math.inf in decades and -math.inf in decades:
        decades = [value if math.isfinite(value) else math.nan for value in decades]
    if decades == [segment.decades for segment in ledger.segments]:
        return ledger
    changed = (dataclasses.replace(s, decades=value) for s, value in zip(ledger.segments, decades, strict=True))
    return dataclasses.replace(ledger, segments=tuple(changed))


def _settled(row: Row) -> Iterator[LayerProfile]:
    """Behind a place where nothing passes, nothing arrives: 0/0 is no news there."""
    dead = False
    for cell in row:
        dead = dead or cell.flow == -math.inf
        yield dataclasses.replace(cell, flow=-math.inf) if dead else cell


def _by_parameters(frame: Frame) -> Row:
    """Where no ledger could be opened: the size of every layer's gradient beside that of the last layer."""
    layers: dict[str, list[ParameterReading]] = {}
    for reading in frame.parameters:
        if reading.norm is not None and not reading.name.endswith("bias"):
            layers.setdefault(module_of(reading.name), []).append(reading)
    logs = {layer: _log_rms(readings) for layer, readings in reversed(layers.items())}
    head = next(iter(logs.values()), 0.0)
    return tuple(LayerProfile(layer=layer, flow=log - head) for layer, log in logs.items())


def _log_rms(readings: list[ParameterReading]) -> float:
    norm = math.hypot(*(reading.norm for reading in readings if reading.norm is not None))
    size = sum(reading.size for reading in readings)
    return math.log10(norm) - math.log10(size) / 2 if norm > 0 and size else -math.inf


def _line_up(ledger: str, rows: list[tuple[int, Row]]) -> Flow | None:
    """The rows over the columns of the longest one: networks grow and freeze while they are fitted."""
    if not rows:
        return None
    keyed = [(step, dict(zip(_keys(row), row, strict=True))) for step, row in rows]
    columns = list(max((cells for _, cells in reversed(keyed)), key=len))
    return Flow(
        ledger=ledger,
        layers=tuple(layer for layer, _ in columns),
        steps=tuple(step for step, _ in keyed),
        rows=tuple(tuple(cells.get(column) for column in columns) for _, cells in keyed),
    )


def _keys(row: Row) -> list[tuple[str, int]]:
    """A layer may come more than once (shared weights): its first, second ... appearance are columns of their own."""
    seen: Counter[str] = Counter()
    keys: list[tuple[str, int]] = []
    for cell in row:
        keys.append((cell.layer, seen[cell.layer]))
        seen[cell.layer] += 1
    return keys


def _ancestors(name: str) -> Iterator[str]:
    """The name and the modules that hold it: a.b.c, a.b, a."""
    while name:
        yield name
        name = name.rpartition(".")[0]
