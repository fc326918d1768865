"""Stand-in for torchvision beside a CPU build of PyTorch.

The registry's torchvision for Linux is compiled against CUDA and cannot be imported next to the CPU build of
torch that the local training environment uses. ultralytics needs of it only the version, for its import, and
`ops.nms`, for validation and long streams: both are here, the latter by ultralytics' own pure-torch routine.
"""

from torchvision import ops

__version__ = "0.28.0"
__all__ = ["__version__", "ops"]
