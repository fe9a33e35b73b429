"""Trains every labelled fit with the watch and its peers, and prints how well each judged.

    python benchmarks/judgement/run.py [--half develop|judge|both] [--only GLOB,...] [--new] [--jobs 2] [--json FILE]
    python benchmarks/judgement/run.py --page docs/explanation/judgement.md

Results are merged into the JSON file by the names of the fits.  README.md explains the method.
"""

from __future__ import annotations

import argparse
import json
import os
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from gather import HERE, Case, case, cases
from limit import limit
from scoring import confirmed, score, score_peers
from tables import report

RESULTS = HERE / "results.json"
_LONGEST = 240  # seconds that one fit may take on a busy machine


def main() -> None:
    args = _arguments()
    if args.page:
        from page import page

        args.page.write_text(page(json.loads(args.json.read_text())), encoding="utf-8")
        return
    chosen = cases(args.half, args.only)
    known = json.loads(args.json.read_text()) if args.json.exists() else {}
    here = {one.name for one in cases()}
    known = {name: row for name, row in known.items() if name in here}
    for row in train([one for one in chosen if not (args.new and one.name in known)], args.jobs):
        known[row["name"]] = row
        print(f"{row['name']:56s} {row.get('error') or summary(row)}", flush=True)
        args.json.write_text(
            json.dumps(dict(sorted(known.items())), indent=None, separators=(",", ":")), encoding="utf-8"
        )
    print(halves([known[one.name] for one in chosen if one.name in known]))


def halves(rows: Sequence[dict[str, Any]]) -> str:
    """The report of each half that has fits."""
    good = [confirmed(row, case(row["name"]).fit) for row in rows if "error" not in row]
    failed = [f"{row['name']} did not run: {row['error']}" for row in rows if "error" in row]
    texts = []
    for half in ("develop", "judge"):
        of = [row for row in good if row["half"] == half]
        if of:
            texts.append(report(half, score(of), score_peers(of)))
    return "\n\n".join([*texts, *failed])


def summary(row: dict[str, Any]) -> str:
    """One line about one fit."""
    found = "; ".join(
        f"{f['kind']} ({f['severity']}) at {f['first_step'] if f['rang'] is None else f['rang']}"
        f"{' resolved' if f['resolved'] else ''} {' '.join(c[0] for c in f['causes'][:2])}"
        for f in row["gradwatch"]
    )
    doubt = "" if row["confirmed"] else f"  NOT CONFIRMED: {row['reason']}"
    return f"{row['health']:8s}{','.join(row['kinds']):24s}{row['seconds']:6.1f} s  {found or 'nothing'}{doubt}"


def train(chosen: Sequence[Case], jobs: int) -> Iterator[dict[str, Any]]:
    """The results of all fits as they come, trained in worker processes of one thread each."""
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(work, one.name) for one in chosen]):
            yield future.result()


def work(name: str) -> dict[str, Any]:
    """In a worker: one fit; an error is a result too."""
    import torch
    from run_one import labelled, run

    torch.set_num_threads(1)
    one = case(name)
    try:
        with limit(_LONGEST):
            return run(one)
    except Exception as error:  # one fit that fails must not end the others
        trace = traceback.extract_tb(error.__traceback__)[-1]
        return {
            **labelled(one),
            "error": f"{type(error).__name__}: {error} ({Path(trace.filename).name}:{trace.lineno})",
        }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--half", choices=("develop", "judge", "both"), default="both")
    parser.add_argument("--only", metavar="GLOB", default="*", help="names of fits, with or without the seed")
    parser.add_argument("--new", action="store_true", help="only fits that have no result yet")
    parser.add_argument("--jobs", type=int, default=2, help="worker processes (default: 2)")
    parser.add_argument("--json", metavar="FILE", type=Path, default=RESULTS, help="results, read and written")
    parser.add_argument("--page", metavar="FILE", type=Path, help="only write the docs page from the results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
