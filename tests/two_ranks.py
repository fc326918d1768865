"""A machine with two GPUs that are none: ultralytics trains in two processes on processors, over gloo.

What ultralytics does for several GPUs is left as it is: it starts torch.distributed.run, pickles the callbacks into the
ranks, and synchronises them. Only where it names a GPU does it get a processor. Every save of a checkpoint is told with
the rank that made it; FAILING_RANK runs out of memory at its first step.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from tests.patched_imports import PATCHED_IMPORTS
from tests.training_host import Host

TWO_RANKS = """
import os

class Backend:
    current_device = staticmethod(lambda: 0)

def torch_utils(module):
    import torch
    module.select_device = lambda *args, **kwargs: torch.device("cpu")
    module.get_torch_device_backend = lambda *args: Backend

def validator(module):
    import torch
    backend = module.AutoBackend
    module.AutoBackend = lambda *args, **kwargs: backend(*args, **{**kwargs, "device": torch.device("cpu")})

def trainer(module):
    from torch import distributed, nn
    prepare = module.BaseTrainer.__init__
    def prepared(self, *args, **kwargs):
        prepare(self, *args, **kwargs)
        self.world_size, self.ddp = 2, module.LOCAL_RANK == -1
    module.BaseTrainer.__init__ = prepared
    module.BaseTrainer._setup_ddp = lambda self: distributed.init_process_group("gloo")
    parallel = nn.parallel.DistributedDataParallel
    nn.parallel.DistributedDataParallel = lambda model, device_ids, **kwargs: parallel(model, **kwargs)
    optimizer(module)

def optimizer(module):
    step = module.BaseTrainer.optimizer_step
    def failing(self):
        if os.environ.get("RANK") == os.environ.get("FAILING_RANK", "none"):
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        step(self)
    module.BaseTrainer.optimizer_step = failing

def checkpoints(module):
    save = module.Store.save
    def told(self, epoch, **given):
        save(self, epoch, **given)
        print(f"\\nSAVED {epoch} by rank {os.environ.get('RANK')}\\n", end="", flush=True)
    module.Store.save = told

def devices(module):
    module.choose = lambda root, batch: "0,1"

PATCHES = {
    "ultralytics.utils.torch_utils": torch_utils,
    "ultralytics.engine.validator": validator,
    "ultralytics.engine.trainer": trainer,
    "training_entry.checkpoints": checkpoints,
    "training_entry.devices": devices,
}
"""


class TwoRanks(Host):
    """A host whose training takes itself for one on two GPUs."""

    def start(self, **environment: str) -> subprocess.Popen[str]:
        site = self.folder / "two"
        site.mkdir(exist_ok=True)
        (site / "sitecustomize.py").write_text(TWO_RANKS + PATCHED_IMPORTS)
        return super().start(PYTHONPATH=str(site), **environment)


def family(process: subprocess.Popen[str]) -> list[int]:
    """The processes of a container: its entry, the launcher, the ranks."""
    found = [process.pid]
    for pid in found:
        found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return found


def kill_all(process: subprocess.Popen[str]) -> int:
    """SIGKILL every process of a container at once, as the end of its host does; answer how many they were."""
    found = family(process)
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    return len(found)
