"""Short fits on two ranks of gloo, one for each treatment: ``python -m tests.remedies.treated_ranks OUT NAME...``."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import traceback
from pathlib import Path

from tests.conftest import ROOT

WORLD = 2


def told(folder, names, timeout=200):
    """What each rank says: name of a treatment -> what became of its fit."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR"}
    command = [sys.executable, "-W", "ignore", "-m", "tests.remedies.treated_ranks", str(folder), *names]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=timeout, check=False)
    files = [Path(folder) / f"{rank}.json" for rank in range(WORLD)]
    assert all(file.exists() for file in files), done.stderr[-4000:]
    return [json.loads(file.read_text()) for file in files]


def main(folder, names):
    from tests.remedies import zoo  # noqa: F401  imported before the fork, once for all ranks

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = [_fork(Path(folder), rank, port, names) for rank in range(WORLD)]
    return max(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in ranks)


def _fork(folder, rank, port, names):
    pid = os.fork()
    if pid:
        return pid
    os.environ.update(
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(WORLD),
        GROUP_RANK="0", LOCAL_WORLD_SIZE=str(WORLD), TORCHELASTIC_RUN_ID="tests",
    )  # fmt: skip
    try:
        (folder / f"{rank}.json").write_text(json.dumps({name: _fit(name, rank) for name in names}, default=list))
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # torch's own threads sometimes abort a gloo worker that exits in the ordinary way


def _fit(name, rank):
    """Each rank's processes draw other random numbers, and see another part of the data."""
    import torch

    import lightning_gradwatch
    from tests.fits.modules import fingerprint
    from tests.remedies.zoo import Recurrent, Sigmoids, trainer

    told = {"error": "", "applied": "", "weights": [], "steps": 0}
    for kind in (Sigmoids, Recurrent):
        torch.manual_seed(100 + rank)
        model, treatment = kind(), getattr(lightning_gradwatch, name)()
        runner = trainer([treatment], devices=WORLD, strategy="ddp", max_steps=3, max_epochs=-1)
        try:
            runner.fit(model)
        except Exception as error:
            told["error"] += f"{kind.__name__}: {error!r} {traceback.format_exc()[-1500:]}"
        told["applied"] += str(treatment.applied)
        told["steps"] += runner.global_step
        told["weights"].append({key: fingerprint(tensor) for key, tensor in _shared(model)})
    return told


def _shared(model):
    """All tensors but the running statistics of a batch normalisation, which each rank takes of its own part."""
    from torch.nn.modules.batchnorm import _BatchNorm

    yield from model.named_parameters()
    for name, module in model.named_modules():
        if not isinstance(module, _BatchNorm):
            yield from ((f"{name}.{key}", buffer) for key, buffer in module.named_buffers(recurse=False))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
