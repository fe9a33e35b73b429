"""The article, proved: every cause of a vanishing gradient, and each remedy of the article against it.

    python benchmarks/remedies/causes.py [--only sigmoid-20,...] [--remedies relu-he,...] [--seeds 5] [--jobs 2]
                                         [--json FILE] [--figure FILE]

On scikit-learn's digits, four in five of them trained on and one in five held back.  Measured by the watch's own
ledger: decades of gradient lost between head and farthest layer (through time: between the best-fed time step and the
first), before the first step; and the share of right answers on the digits held back.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from twin import HERE

STEPS = 300
RESULTS, FIGURE = HERE / "causes.json", HERE.parents[1] / "docs" / "images" / "causes_and_cures.svg"


def main() -> None:
    args = _arguments()
    known = json.loads(args.json.read_text()) if args.json.exists() else {}
    for cause, remedy, row in measure(_jobs(args), args.jobs):
        known.setdefault(cause, {}).setdefault(remedy, {})[str(row.pop("seed"))] = row
        args.json.write_text(json.dumps(known, separators=(",", ":")), encoding="utf-8")
        print(f"{cause:16s}{remedy:18s}{_line(row)}", flush=True)
    from causes_figure import draw
    from cures_page import causes_tables

    draw(known, args.figure)
    print(causes_tables(known))


def _jobs(args: argparse.Namespace) -> list[tuple[str, str, int]]:
    from article import CAUSES

    return [
        (name, remedy, seed)
        for name, cause in CAUSES.items()
        for remedy in cause.remedies
        for seed in range(args.seeds)
        if (not args.only or name in args.only) and (not args.remedies or remedy in args.remedies)
    ]


def measure(jobs: Sequence[tuple[str, str, int]], workers: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every fit's result as it comes, from worker processes of one thread each."""
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(work, *job): job for job in jobs}
        for future in as_completed(futures):
            cause, remedy, seed = futures[future]
            yield cause, remedy, {"seed": seed, **future.result()}


def work(cause: str, remedy: str, seed: int) -> dict[str, Any]:
    """One fit; one that torch refuses says why."""
    import torch

    torch.set_num_threads(1)
    try:
        return fit(cause, remedy, seed)
    except Exception as error:  # a refusal is a result: batch normalisation of one sample
        return {"error": f"{type(error).__name__}: {str(error)[:200]}"}


def fit(cause: str, remedy: str, seed: int) -> dict[str, Any]:
    """Decades lost before the first step and at the end, and the share of right answers on digits held back."""
    from article import CAUSES, REMEDIES
    from fit import Setup
    from fitting import seed_all, silence, trainer_of
    from zoo._networks import Learner

    from lightning_gradwatch import GradWatch
    from lightning_gradwatch.cases.data import training_batches
    from lightning_gradwatch.cases.fitting import score

    sick, cure = CAUSES[cause], REMEDIES[remedy]
    seed_all(seed)
    setup = Setup(module=Learner(sick.network(), optimizer=sick.optimizer), loader=training_batches(cure.batch, seed))
    watch, treatments = GradWatch(verbose=False, strict=True), cure.treatments()
    with silence(), tempfile.TemporaryDirectory() as folder:
        trainer = trainer_of(setup, [*treatments, watch], cure.steps or STEPS, folder)
        trainer.fit(setup.module, setup.loader)
    frames = watch.report.frames
    return {
        "before": lost(frames[0], in_time=sick.in_time) if frames else None,
        "after": lost(frames[-1], in_time=sick.in_time) if frames else None,
        "accuracy": round(score(setup.module.network)[1], 4),
        "changed": all(one.applied is not None and bool(one.applied) for one in treatments),
    }


def lost(frame: Any, *, in_time: bool) -> float | str | None:
    """Decades that the farthest layer, or the first time step, gets less than the best-fed; "inf": nothing arrives."""
    from lightning_gradwatch.records.flow import flow_in

    if in_time:
        values = [profile.lost for profile in frame.times]
    else:
        values = [0.0 - min(flow_in(frame, ledger).values()) for ledger in frame.ledgers]
    worst = max(values, default=math.nan)
    return None if math.isnan(worst) else round(worst, 3) if math.isfinite(worst) else "inf"


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation (0 of one value).

    Example:
        >>> spread([1.0, 3.0])
        (2.0, 1.4142135623730951)
    """
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def _line(row: dict[str, Any]) -> str:
    return row.get("error") or f"{row['before']} decades, {row['accuracy']:.1%}" + (
        "" if row["changed"] else "  NOTHING CHANGED"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    names = {"type": lambda text: text.split(","), "metavar": "NAME,..."}
    parser.add_argument("--only", help="causes, by their names in article.py", **names)
    parser.add_argument("--remedies", help="remedies, by their names in article.py", **names)
    parser.add_argument("--seeds", type=int, default=5, help="fits of each (default: 5)")
    parser.add_argument("--jobs", type=int, default=2, help="worker processes (default: 2)")
    parser.add_argument("--json", metavar="FILE", type=Path, default=RESULTS, help="results, read and written")
    parser.add_argument("--figure", metavar="FILE", type=Path, default=FIGURE, help="SVG or PNG")
    return parser.parse_args()


if __name__ == "__main__":
    main()
