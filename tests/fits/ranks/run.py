"""Runs situations in several processes on gloo: one interpreter imports everything once and forks the ranks.

``python -m tests.fits.ranks.run OUT WORLD NAME...`` writes what each rank and a fit in one process have to tell, as
``OUT/<name>.<world>.<rank>.json`` (world 1 is the one process).
"""

import json
import os
import socket
import subprocess
import sys
import traceback
from pathlib import Path

from tests.conftest import ROOT


def told(folder, names, world=2, timeout=240):
    """name -> [what rank 0 says, rank 1, ...], and under ``name, "alone"`` what one process says."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR"}
    command = [sys.executable, "-W", "ignore", "-m", "tests.fits.ranks.run", str(folder), str(world), *names]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=timeout, check=False)
    said = {path.name: json.loads(path.read_text()) for path in Path(folder).glob("*.json")}
    missing = [name for name in names if f"{name}.{world}.{world - 1}.json" not in said]
    assert not missing, f"{missing} did not end: {done.stderr[-4000:]}"
    results = {name: [said[f"{name}.{world}.{rank}.json"] for rank in range(world)] for name in names}
    return results, {name: said.get(f"{name}.1.0.json") for name in names}


def main(folder, world, names):
    import lightning.pytorch  # noqa: F401  imported before the fork, once for all ranks
    import torch.distributed.tensor.parallel  # noqa: F401

    from tests.fits.ranks import situations  # noqa: F401

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = [_fork(folder, world, rank, port, names) for rank in range(world)]
    ranks.append(_fork(folder, 1, 0, port, names))
    return max(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in ranks)


def _fork(folder, world, rank, port, names):
    pid = os.fork()
    if pid:
        return pid
    if world > 1:
        os.environ.update(
            MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), LOCAL_RANK=str(rank),
            WORLD_SIZE=str(world), GROUP_RANK="0", LOCAL_WORLD_SIZE=str(world), TORCHELASTIC_RUN_ID="tests",
        )  # fmt: skip
    code = 0
    try:
        _tell(folder, world, rank, names)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # torch's own threads sometimes abort a gloo worker that exits in the ordinary way


def _tell(folder, world, rank, names):
    from tests.fits.ranks.situations import SITUATIONS

    for name in names:
        if world > 1 or SITUATIONS[name].has_twin:
            path = Path(folder) / f"{name}.{world}.{rank}.json"
            path.write_text(json.dumps(SITUATIONS[name].tell(world, rank)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
