"""Several fits in one process, a block of steps of each in turn, so that all of them meet the same weather."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from lightning_gradwatch._lightning import namespace

Clocks = tuple[float, float]  # CPU seconds of the process, wall seconds


def clocks() -> Clocks:
    return time.process_time(), time.perf_counter()


class Runner:
    """A fit in a thread of its own that goes on for one block whenever it is told to, and stands still between."""

    def __init__(self, fit: Callable[[Runner], None]) -> None:
        self.fit = fit
        self.blocks: list[Clocks] = []  # what every block took
        self.error: BaseException | None = None
        self._go, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        threading.Thread(target=self._run, daemon=True).start()

    def run_block(self) -> None:
        """From the main thread: let the fit go on for one block."""
        self._go.release()
        self._stopped.acquire()
        if self.error is not None:
            raise self.error

    def pause(self) -> None:
        """From the fit's thread: stand still until the next block."""
        self._stopped.release()
        self._go.acquire()

    def _run(self) -> None:
        self._go.acquire()
        try:
            self.fit(self)
        except BaseException as error:  # raised again in the main thread
            self.error = error
        self._stopped.release()


class Baton(namespace().Callback):
    """Reads the clocks after every block of steps and pauses the fit.  The last callback of its trainer."""

    def __init__(self, runner: Runner, block: int) -> None:
        self.runner, self.block, self.started = runner, block, clocks()

    def on_train_batch_end(self, trainer: Any, *args: Any) -> None:
        if trainer.global_step % self.block:
            return
        cpu, wall = clocks()
        self.runner.blocks.append((cpu - self.started[0], wall - self.started[1]))
        if trainer.global_step < trainer.max_steps:  # else the fit ends by itself
            self.runner.pause()
        self.started = clocks()


def interleave(runners: Sequence[Runner], rounds: int) -> None:
    """In every round one block of every fit, in an order drawn anew (always the same draws)."""
    order, shuffle = list(runners), random.Random(0).shuffle
    for _ in range(rounds):
        shuffle(order)
        for runner in order:
            runner.run_block()
