"""What a fit said, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_gradwatch.errors import MissingExtra, UnreadableRecord
from lightning_gradwatch.records import Anatomy, Event, Finding, Forecast, Frame
from lightning_gradwatch.records.codec import FORMAT, decode, encode
from lightning_gradwatch.records.lines import check_format, lines
from lightning_gradwatch.records.recording import Recording, read_lines
from lightning_gradwatch.report import figures
from lightning_gradwatch.report.events import standing
from lightning_gradwatch.report.markdown import markdown
from lightning_gradwatch.report.page import page
from lightning_gradwatch.report.stepping import stepping
from lightning_gradwatch.report.text import console

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_KIND = "gradwatch report"


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that was found, done and measured in one fit, during or after it.

    Example:
        >>> print(Report(name="Net"))
        GradWatch report of Net: no step measured
        Nothing was measured: no training step ran under GradWatch.
        >>> Report.from_dict(Report(name="Net").to_dict()) == Report(name="Net")
        True
    """

    findings: tuple[Finding, ...] = ()  # in the order in which they appeared
    events: tuple[Event, ...] = ()  # what was done
    frames: tuple[Frame, ...] = ()  # what was measured
    anatomy: Anatomy | None = None  # what the network is made of
    notes: tuple[str, ...] = ()  # what else a reader should know: "the graph is compiled"
    config: dict[str, Any] = field(default_factory=dict[str, Any])  # the watch's settings: plain JSON values
    name: str = ""  # what was watched: "Net"
    forecast: Forecast | None = None  # of a checkup: how a fit will begin

    @property
    def alarms(self) -> tuple[Finding, ...]:
        """Open findings that are more than a remark, worst first."""
        return tuple(finding for finding in self.sorted_findings if finding.is_alarm)

    @property
    def worst(self) -> Finding | None:
        """The worst alarm; None: there is none."""
        return next(iter(self.alarms), None)

    @property
    def healthy(self) -> bool:
        """Whether something was measured and nothing is wrong now."""
        return bool(self.frames) and not self.alarms

    @property
    def sorted_findings(self) -> tuple[Finding, ...]:
        """All findings: alarms, then open remarks, then what has resolved; the severest first, then the earliest."""
        return tuple(sorted(self.findings, key=lambda f: (f.resolved, -f.severity.rank, f.first_step)))

    @property
    def remarks(self) -> tuple[str, ...]:
        """What else a reader should know: the notes, and how the optimizers stepped (clipped, skipped)."""
        return (*self.notes, *stepping(self.frames))

    @property
    def patch(self) -> str:
        """What the fit was healed with, for the network's own source: diffs, or lines to add; "" where nothing was."""
        return "\n\n".join(event.patch for event in standing(self.events) if event.patch)

    def __str__(self) -> str:
        """The report for a console."""
        return console(self)

    def to_markdown(self) -> str:
        """The report as Markdown."""
        return markdown(self)

    def to_html(self) -> str:
        """The report as one small HTML page without scripts."""
        return page(self)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON values, with the number of the format."""
        return {"format": FORMAT, "kind": _KIND, **encode(self)}

    @classmethod
    def from_dict(cls, data: object) -> Report:
        """The report that ``to_dict`` gave.

        Raises:
            UnreadableRecord: the data is damaged, foreign or of a newer format.
        """
        fields: dict[Any, Any] = {**data} if isinstance(data, dict) else {}
        if fields.get("kind") != _KIND:
            raise UnreadableRecord("Report: this is not a report of lightning-gradwatch.")
        check_format(fields.get("format"), "Report")
        return decode(cls, fields)

    def save(self, path: str | Path) -> None:
        """Write the report as JSON lines (see ``records.lines``)."""
        text = lines(
            self.anatomy,
            self.frames,
            self.findings,
            self.events,
            self.notes,
            config=self.config,
            name=self.name,
            forecast=self.forecast,
        )
        with Path(path).open("w", encoding="ascii", newline="\n") as file:
            file.writelines(line + "\n" for line in text)

    @classmethod
    def load(cls, path: str | Path) -> Report:
        """The report that ``save`` wrote, or that was recorded line by line while a fit ran.

        Raises:
            UnreadableRecord: the file cannot be opened, is damaged, foreign or of a newer format.
        """
        return cls.of(read_lines(path))

    @classmethod
    def of(cls, recording: Recording) -> Report:
        """The report of a recording."""
        return cls(**vars(recording))

    def plot(self, ax: Axes | None = None) -> tuple[Figure, Axes]:
        """The picture of gradient flow over depth and time, with the sick layers marked.

        Args:
            ax: where to draw; None: a new figure.

        Raises:
            MissingExtra: matplotlib is not installed.
        """
        if ax is None:
            try:
                from matplotlib import pyplot
            except ImportError:
                raise MissingExtra("matplotlib", "A picture of gradient flow", "plot") from None
            _, ax = pyplot.subplots(figsize=(9, 5.6), layout="constrained", facecolor="white")
        figures.draw_flow(ax, self)
        return ax.figure, ax  # type: ignore[return-value]
