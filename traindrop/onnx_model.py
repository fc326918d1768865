"""A YOLO model in an ONNX file, run by ONNX Runtime alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime

from traindrop.letterbox import Floats
from traindrop.onnx_metadata import Metadata, UnknownModel
from traindrop.predictions import Candidates, candidates

_OUTPUTS = {"segment": 2, "detect": 1}
_FATAL = 4
"""Of ONNX Runtime's levels of logging: what it says of a broken file is in the exception."""


@dataclass(frozen=True)
class Model:
    """A model that is ready to be asked."""

    metadata: Metadata
    session: Any

    @classmethod
    def open(cls, path: Path) -> Model:
        """Load a model.

        Raises:
            UnknownModel: the file is no ONNX model, or not one of a kind that is known here.
        """
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _FATAL
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors have no common ancestor but this
            raise UnknownModel(f"ONNX Runtime cannot load it ({_said(error)}); fetch or export it anew") from error
        metadata = Metadata.read(session.get_modelmeta().custom_metadata_map)
        given, wanted = session.get_inputs(), [1, 3, *metadata.imgsz]
        # A dimension that may vary has a name for its size, or none.
        fits = len(given) == 1 and len(given[0].shape) == len(wanted) and given[0].type == "tensor(float)"
        fits = fits and all(
            size == asked for size, asked in zip(given[0].shape, wanted, strict=True) if isinstance(size, int)
        )
        if not fits or len(session.get_outputs()) != _OUTPUTS[metadata.task]:
            raise UnknownModel(
                f"it takes {', '.join(f'{one.type} {one.shape}' for one in given)} where one tensor(float) {wanted} is "
                f"expected, and {_OUTPUTS[metadata.task]} outputs; export it as fp32 with `yolo export format=onnx`"
            )
        return cls(metadata, session)

    def ask(self, picture: Floats) -> tuple[Candidates, Floats | None]:
        """What the model sees in a picture (1 x 3 x rows x columns): candidates, and the prototypes of their masks.

        Raises:
            UnknownModel: it cannot be run, or its outputs are not those of a YOLO model.
        """
        try:
            outputs = self.session.run(None, {self.session.get_inputs()[0].name: picture})
        except Exception as error:  # as above
            raise UnknownModel(f"ONNX Runtime cannot run it ({_said(error)}); export it anew") from error
        return candidates(outputs, self.metadata), outputs[1][0] if self.metadata.task == "segment" else None


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
