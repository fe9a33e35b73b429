"""The assertion that gradients flow.

Imports nothing heavy before it is called: pytest loads the plugin that names it in every project.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lightning_gradwatch.errors import WrongArgument

if TYPE_CHECKING:
    from lightning_gradwatch.records import Finding, Ledger
    from lightning_gradwatch.report.report import Report


def assert_gradients_flow(
    model: Any,
    batch: Any = None,
    loss: Callable[[Any, Any], Any] | None = None,
    *,
    max_decades: float | None = None,
    batches: int = 12,
    seed: int = 0,
    ignore: Mapping[str, str] | None = None,
) -> Report:
    """Fail unless the gradient reaches every layer of this network, at the start and over a few steps on a copy.

    Args:
        model: as in ``lightning_gradwatch.checkup``, and so are the rest.
        batch: one batch, or what holds several.
        loss: gives the loss from the output and the batch; None: one that suits.
        max_decades: fail also where a layer begins with less than 10 to the power of minus this of the head's gradient.
        batches: how many batches and with them steps.
        seed: of the random numbers.
        ignore: rules and kinds of finding that do not fail it, each with the reason; ``max_decades`` holds still.

    Returns:
        The report, for further assertions.

    Raises:
        AssertionError: the gradient is lost on the way; the message tells where, why and what to do.
        WrongArgument: an argument breaks its rule.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> layers = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))
        >>> assert_gradients_flow(layers, (torch.rand(16, 8), torch.rand(16, 1)), max_decades=2).healthy
        True
    """
    __tracebackhide__ = True  # pytest shows the line that called it
    from lightning_gradwatch.verify.checkup import checkup

    if max_decades is not None and not _is_bound(max_decades):
        raise WrongArgument("max_decades", "a finite number of at least 0, or None", max_decades)
    report = checkup(model, batch, loss=loss, batches=batches, seed=seed, ignore=ignore)
    if not report.frames:
        raise AssertionError("No gradient could be judged: no batch gave a loss.")
    findings = list(report.alarms) or ([] if max_decades is None else _beyond(report, float(max_decades)))
    if findings:
        raise AssertionError(_message(report, findings))
    return report


def _is_bound(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _message(report: Report, findings: list[Finding]) -> str:
    from lightning_gradwatch.report.text import finding_block

    blocks = "\n\n".join(finding_block(finding).removeprefix("GradWatch  ") for finding in findings)
    return f"The gradients of {report.name} do not flow.\n\n{blocks}"


def _beyond(report: Report, bound: float) -> list[Finding]:
    """A finding for each loss at whose start a layer gets less than allowed, explained as any other is."""
    return [found for ledger in report.frames[0].ledgers if (found := _finding(report, ledger, bound)) is not None]


def _finding(report: Report, ledger: Ledger, bound: float) -> Finding | None:
    from dataclasses import replace

    from lightning_gradwatch.diagnose import explain
    from lightning_gradwatch.records import Finding, Kind, Quantity, Severity
    from lightning_gradwatch.records.flow import flow_in
    from lightning_gradwatch.remedies import prescribe
    from lightning_gradwatch.report.words import part

    frame, anatomy = report.frames[0], report.anatomy
    flow = flow_in(frame, ledger)
    layers = tuple(sorted((layer for layer in flow if not flow[layer] >= -bound), key=flow.__getitem__))
    if not layers or anatomy is None:
        return None
    lost = -flow[layers[0]]
    bare = Finding(
        id=f"vanishing:{ledger.name}",
        kind=Kind.VANISHING,
        severity=Severity.WARNING,
        summary=f"{layers[0]} begins with {part(-lost)} the head's gradient: {lost:.1f} decades are lost, more than "
        f"the {bound:g} that max_decades allows",
        layers=layers,
        first_step=frame.step,
        last_step=frame.step,
        evidence=(
            Quantity(name="decades lost", value=lost, unit="decades"),
            Quantity(name="layers on the way", value=float(len(flow)), unit="layers"),
        ),
    )
    explained = replace(bare, causes=explain(bare, frame, anatomy))
    return replace(explained, remedies=prescribe(explained, anatomy))
