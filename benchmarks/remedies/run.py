"""Cures every labelled sick fit in several ways, and sees that ``heal`` leaves the healthy ones alone.

    python benchmarks/remedies/run.py [--half develop|judge|both] [--only GLOB,...] [--arms nothing,twin,heal,...]
                                      [--oracle] [--healthy | --all] [--new] [--jobs 2] [--json FILE]
    python benchmarks/remedies/run.py --page docs/explanation/causes_and_cures.md

Results are merged into the JSON file by the names of fits and arms.  README.md explains the method.
"""

from __future__ import annotations

import argparse
import json
import os
import traceback
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from twin import HERE, twins

from gather import Case, case, cases  # isort: skip  # the judgement's folder is on the path once ``twin`` is imported
from limit import limit  # isort: skip

RESULTS = HERE / "results.json"
SICK, HEALTHY = ("nothing", "twin", "watch", "heal", "random", "autotrainer"), ("nothing", "heal")
LONGEST = {"oracle": 900}  # seconds that one arm of one fit may take on a busy machine
_LONG = 120


def main() -> None:
    args = _arguments()
    if args.page:
        from cures_page import page

        args.page.write_text(page(args.json), encoding="utf-8")
        return
    known = json.loads(args.json.read_text()) if args.json.exists() else {}
    jobs = [(one.name, arms) for one in _chosen(args) if (arms := _arms(args, one, known))]
    for name, rows in train(jobs, args.jobs):
        known[name] = {**labelled(case(name)), "arms": {**known.get(name, {}).get("arms", {}), **rows}}
        print(f"{name:44s} {summary(known[name])}", flush=True)
        args.json.write_text(json.dumps(dict(sorted(known.items())), separators=(",", ":")), encoding="utf-8")
    from summary import report

    chosen = {one.name for one in _chosen(args)}
    print(report([row for name, row in known.items() if name in chosen]))


def _chosen(args: argparse.Namespace) -> list[Case]:
    wanted = ("sick", "healthy") if args.all else ("healthy",) if args.healthy else ("sick",)
    return [one for one in cases(args.half, args.only) if one.fit.health in wanted]


def _arms(args: argparse.Namespace, one: Case, known: Mapping[str, Any]) -> tuple[str, ...]:
    """The arms to run on a fit; ``nothing`` always, for it gives the time that the others are measured by."""
    usual = SICK if one.fit.health == "sick" else HEALTHY
    arms = [arm for arm in args.arms or usual if arm in usual or arm == "oracle"]
    if args.oracle and one.fit.health == "sick":
        arms.append("oracle")
    done = known.get(one.name, {}).get("arms", {}) if args.new else {}
    missing = [arm for arm in arms if arm not in done]
    return tuple(dict.fromkeys(["nothing", *missing])) if missing else ()


def labelled(one: Case) -> dict[str, Any]:
    """The label, as JSON data."""
    words = ("family", "health", "kinds", "causes", "onset", "steps", "half")
    bug = twins()[one.fit.name].bug if one.fit.name in twins() else ""
    return {"name": one.name, **{word: getattr(one.fit, word) for word in words}, "bug": bug}


def summary(row: Mapping[str, Any]) -> str:
    """One line about one fit."""
    told = []
    for arm, result in row["arms"].items():
        score = result.get("score")
        seconds = f" {result['cpu']:.1f} s" if "cpu" in result else ""
        told.append(f"{arm} {result.get('error') or f'{score if score is None else float(score):.3f}{seconds}'}")
    return "; ".join(told) + (f"  [{row['bug']}]" if row["bug"] else "")


def train(jobs: Sequence[tuple[str, tuple[str, ...]]], workers: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """The results of all fits as they come, trained in worker processes of one thread each."""
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(work, *job) for job in jobs]):
            yield future.result()


def work(name: str, arms: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """In a worker: all arms of one fit, one after the other; an error is a result too."""
    import torch
    from arms import ARMS, NotThere

    torch.set_num_threads(1)
    one, rows = case(name), {}
    for arm in arms:
        try:
            with limit(LONGEST.get(arm, _LONG)):
                rows[arm] = ARMS[arm](one)
        except NotThere as missing:
            print(missing, flush=True)
        except Exception as error:  # one arm that fails must not end the others
            trace = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(trace.filename).name}:{trace.lineno}"
            rows[arm] = {"error": f"{type(error).__name__}: {str(error)[:300]} ({where})"}
    return name, rows


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--half", choices=("develop", "judge", "both"), default="both")
    parser.add_argument("--only", metavar="GLOB", default="*", help="names of fits, with or without the seed")
    parser.add_argument("--arms", type=lambda text: text.split(","), help="between commas (default: all but oracle)")
    parser.add_argument("--oracle", action="store_true", help="also every remedy and pair for the whole fit: slow")
    parser.add_argument("--healthy", action="store_true", help="the healthy fits instead of the sick ones")
    parser.add_argument("--all", action="store_true", help="sick and healthy fits")
    parser.add_argument("--new", action="store_true", help="only arms that have no result yet")
    parser.add_argument("--jobs", type=int, default=2, help="worker processes (default: 2)")
    parser.add_argument("--json", metavar="FILE", type=Path, default=RESULTS, help="results, read and written")
    parser.add_argument("--page", metavar="FILE", type=Path, help="only write the docs page from the results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
