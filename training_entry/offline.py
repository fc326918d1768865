"""Settings that keep ultralytics from phoning home: no look-up, no update check, no analytics, no font download."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

_ENVIRONMENT = {
    "YOLO_OFFLINE": "true",
    "YOLO_AUTOINSTALL": "false",
    "ULTRALYTICS_SAFE_LOAD": "true",
    "MPLBACKEND": "Agg",
    "NO_ALBUMENTATIONS_UPDATE": "1",
    "WANDB_MODE": "disabled",
}
_INTEGRATIONS = ("sync", "clearml", "comet", "dvc", "mlflow", "neptune", "raytune", "tensorboard", "wandb")


def prepare(work: Path) -> None:
    """Set the environment before ultralytics is imported, then its settings and its font.

    The processes of other GPUs inherit all three. ULTRALYTICS_SAFE_LOAD makes a .pt load without running code.
    """
    os.environ.update(_ENVIRONMENT, YOLO_CONFIG_DIR=str(work / "config"), MPLCONFIGDIR=str(work / "config/matplotlib"))
    (work / "config/matplotlib").mkdir(parents=True, exist_ok=True)

    from ultralytics import settings
    from ultralytics.utils import USER_CONFIG_DIR

    settings.update(
        {name: False for name in _INTEGRATIONS if name in settings}
        | {"weights_dir": str(work / "weights"), "runs_dir": str(work / "runs"), "datasets_dir": str(work / "datasets")}
    )
    matplotlib = importlib.util.find_spec("matplotlib")
    if matplotlib is None or matplotlib.origin is None:
        return
    font = Path(matplotlib.origin).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf"
    for name in ("Arial.ttf", "Arial.Unicode.ttf"):
        shutil.copyfile(font, Path(USER_CONFIG_DIR) / name)
