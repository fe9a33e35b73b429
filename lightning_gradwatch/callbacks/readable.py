"""What users read of a watch, and may ask of it, whoever trains."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lightning_gradwatch import _lightning
from lightning_gradwatch.callbacks.settings import Settings
from lightning_gradwatch.callbacks.watch import Watch
from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.report.report import Report


class Readable:
    """The face of a ``Watch``: ``GradWatch`` and ``LoopWatch`` have it in common."""

    _watch: Watch

    @property
    def report(self) -> Report:
        """What was found, done and measured so far; at any time, also before and after a fit."""
        return self._watch.report

    @property
    def settings(self) -> Settings:
        """The arguments that it was made with."""
        return self._watch.settings

    @property
    def is_off(self) -> bool:
        """Whether an error of the watch itself has switched it off; the report's notes say which."""
        return self._watch.is_off

    def plot(self, ax: Any = None) -> tuple[Any, Any]:
        """Gradient flow over depth and time, the sick stretch marked: ``fig, ax``, as torchmetrics plots.

        Raises:
            MissingExtra: matplotlib is not installed.
        """
        return self.report.plot(ax)

    def diagnose(self, batch: Any, model: Any = None, loss: Any = None, *, prove: bool = True, seed: int = 0) -> Report:
        """The report, with a proof beside every cause that can be tried now, during a fit or after it.

        On deep copies of the network as it is now, one batch and the same random numbers, the suspected factor alone is
        replaced; what comes back stands in ``cause.proof`` and decides ties.  The network, its gradients, random
        numbers and the watch are afterwards as they were.

        Args:
            batch: one batch like those of the fit.
            model: the network; None: the one of the last fit.
            loss: gives the loss from the output and the batch; None: the ``training_step`` of a LightningModule, else
                one that suits the targets.
            prove: False leaves the causes as they were judged.
            seed: of the random numbers of the trials.

        Raises:
            WrongArgument: an argument breaks its rule, or the network of the last fit is gone.
        """
        report = self.report
        findings = [finding for finding in report.findings if not finding.resolved and finding.ignored is None]
        if not prove or not findings:
            return report
        model = self._network() if model is None else model
        if model is None:
            raise WrongArgument("model", "given where no fit's network is there any more", None)
        from lightning_gradwatch.verify.counterfactual import prove_all

        beginning = self._watch.casebook.judge.history.beginning
        weights = beginning.weights if beginning else {}
        model = _lightning.unwrapped_module(model)
        proved, said = prove_all(findings, model, batch, loss, seed=seed, beginning=weights)
        known = {finding.id: finding for finding in proved}
        found = tuple(one if one.resolved else known.get(one.id, one) for one in report.findings)
        return replace(report, findings=found, notes=(*report.notes, *said))

    def _network(self) -> Any:
        """The network of the last fit; None: there was none, or it is gone."""
        raise NotImplementedError

    def undo(self) -> None:
        """Take back every decay of the learning rates, exactly, from the next step on; the report keeps it as an event.

        Call it on every rank.  A further decay waits for ``cooldown_steps`` again.
        """
        self._watch.undo()
