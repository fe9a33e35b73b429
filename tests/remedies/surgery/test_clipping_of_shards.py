"""Gradients that are spread over ranks (FSDP2) are clipped as those of the whole network."""

import json
import os
import subprocess
import sys

from tests.conftest import ROOT

SCRIPT = """
import copy, json, sys, torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from lightning_gradwatch import ClipGradients, SwitchOptimizer

MADE = {
    "norm": lambda: ClipGradients(0.05),
    "quantile": lambda: ClipGradients(quantile=0.2),
    "value": lambda: ClipGradients(0.01, mode="value"),
    "agc": lambda: ClipGradients(mode="agc"),
    "switch": lambda: SwitchOptimizer(),
}

def far(make):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
    before, twin = copy.deepcopy(net), copy.deepcopy(net)
    fully_shard(net, mesh=init_device_mesh("cpu", (2,)))
    optimizers = [torch.optim.SGD(one.parameters(), lr=0.5) for one in (net, twin)]
    applied = [make().apply(one, optimizer) for one, optimizer in zip((net, twin), optimizers)]
    for step in range(6):
        batch = torch.randn(4, 4, generator=torch.Generator().manual_seed(step))
        for one, optimizer in zip((net, twin), optimizers):
            optimizer.zero_grad()
            one(batch).square().mean().backward()
            optimizer.step()
    found = distance(net, twin)
    applied[0].undo()
    return [found, distance(net, before)]

def distance(net, twin):
    pairs = zip(net.parameters(), twin.parameters())
    return max(float((a.full_tensor() - b).detach().abs().max()) for a, b in pairs)

def run(rank, folder):
    store = dist.FileStore(f"{folder}/store", 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2)
    told = {name: far(make) for name, make in MADE.items()}
    with open(f"{folder}/{rank}.json", "w") as file:
        json.dump(told, file)
    dist.destroy_process_group()

if __name__ == "__main__":
    mp.spawn(run, nprocs=2, args=(sys.argv[1],))
"""


def test_as_one_process_with_the_whole_network(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    command, env = [sys.executable, "script.py", str(tmp_path)], {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    for rank in (0, 1):
        for name, (apart, undone) in json.loads((tmp_path / f"{rank}.json").read_text()).items():
            assert apart < 1e-6, name
            assert undone == 0, name
