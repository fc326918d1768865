"""What the environment of the server says about training jobs."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Set once when the service is installed; times are seconds."""

    endpoint: str
    state_dir: Path
    trainer: str = "real"
    training_python: Path = Path(sys.executable)
    provision_seconds: float = 0.5
    stop_grace_seconds: float = 120.0
    checkpoint_sync_seconds: float = 1.0
    stub_seconds: float | None = None
    stub_seconds_per_image: float | None = None
    instance_quota: int | None = None

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the TRAINDROP_* variables; an unknown trainer raises ValueError."""
        read = os.environ.get
        trainer = read("TRAINDROP_TRAINER", "real")
        if trainer not in ("real", "stub"):
            raise ValueError(f"TRAINDROP_TRAINER is {trainer!r}; it must be 'real' or 'stub'")
        state = read("TRAINDROP_STATE_DIR") or tempfile.mkdtemp(prefix="traindrop-")
        stub_seconds = read("TRAINDROP_STUB_SECONDS")
        per_image = read("TRAINDROP_STUB_SECONDS_PER_IMAGE")
        quota = read("TRAINDROP_INSTANCE_QUOTA")
        return cls(
            endpoint=f"http://127.0.0.1:{read('GATEWAY_PORT', '4566')}",
            state_dir=Path(state),
            trainer=trainer,
            training_python=Path(read("TRAINDROP_TRAINING_PYTHON") or sys.executable),
            provision_seconds=float(read("TRAINDROP_PROVISION_SECONDS", "0.5")),
            stop_grace_seconds=float(read("TRAINDROP_STOP_GRACE_SECONDS", "120")),
            checkpoint_sync_seconds=float(read("TRAINDROP_CHECKPOINT_SYNC_SECONDS", "1")),
            stub_seconds=float(stub_seconds) if stub_seconds else None,
            stub_seconds_per_image=float(per_image) if per_image else None,
            instance_quota=int(quota) if quota else None,
        )
