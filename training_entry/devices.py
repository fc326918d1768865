"""What to train on: every GPU that torch can use, else the processor, unless a GPU is paid for."""

from __future__ import annotations

import json
from pathlib import Path

from training_entry.failure import GpuMissing

_SAGEMAKER = Path("/opt/ml")
_GPU_FAMILIES = ("ml.g", "ml.p")


def instance_type(root: Path) -> str | None:
    """Type of the instance that the job runs on, as SageMaker tells it."""
    try:
        document = json.loads((root / "input/config/resourceconfig.json").read_text())
    except (OSError, ValueError):
        return None
    name = document.get("current_instance_type") if isinstance(document, dict) else None
    return name if isinstance(name, str) else None


def pays_for_gpu(root: Path, instance: str | None) -> bool:
    """Whether this is an instance of SageMaker's with a GPU; a job on anybody's own machine never is."""
    return root == _SAGEMAKER and instance is not None and instance.startswith(_GPU_FAMILIES)


def choose(root: Path, batch: int) -> str:
    """The device argument for ultralytics: `cpu`, `0`, or `0,1,…`, no more GPUs than images in a batch.

    Raises:
        GpuMissing: the instance has a GPU and torch cannot compute on it.
    """
    import torch

    instance = instance_type(root)
    problem = ""
    count = 0
    try:
        if torch.cuda.is_available():
            torch.zeros(8, device="cuda").sum().item()
            count = torch.cuda.device_count()
        else:
            problem = f"torch {torch.__version__} sees no CUDA device"
    except RuntimeError as error:
        problem = " ".join(str(error).split())[:300]
    if count:
        return ",".join(str(index) for index in range(max(1, min(count, batch))))
    if pays_for_gpu(root, instance):
        raise GpuMissing(
            f"{instance} has a GPU, but {problem}; nothing was trained at its price. Use a GPU training "
            "image that supports this type, or another instance type."
        )
    return "cpu"
