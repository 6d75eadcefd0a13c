"""Run an exported model with ONNX Runtime, for evaluation and certificates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from hashgrain.codes import CodeLayout, EncoderContract, HashCodes
from hashgrain.codes.contract import COARSE_CODE, COARSE_LOGITS, FINE_CODE, FINE_LOGITS
from hashgrain.codes.errors import ContractViolation, InvalidInput, MissingDependency


class OnnxEncoder:
    """An exported hash encoder in this process.

    Args:
        model: model.onnx, or a folder that holds 1/model.onnx or hash_encoder/1/model.onnx.

    Raises:
        InvalidInput: there is no model.
        ContractViolation: it is not a hash encoder.
        MissingDependency: ONNX Runtime is not installed.
    """

    def __init__(self, model: Path) -> None:
        try:
            import onnxruntime
        except ImportError as exc:
            raise MissingDependency(
                'onnxruntime is not installed; install it with: pip install "hashgrain[cpu]" (or [gpu])'
            ) from exc
        path = find_model(model)
        try:
            self._session = onnxruntime.InferenceSession(str(path), providers=onnxruntime.get_available_providers())
        except Exception as exc:  # onnxruntime raises its own and built-in kinds
            raise ContractViolation(f"{path} cannot be loaded: {exc}; export it again") from exc
        self.contract = EncoderContract.from_metadata(
            self._session.get_modelmeta().custom_metadata_map, source=str(path)
        )

    @property
    def layout(self) -> CodeLayout:
        """The code lengths."""
        return self.contract.layout

    @property
    def input_size(self) -> int:
        """Side of the input in pixels; 0 for a model of vectors."""
        return self.contract.input_size

    @property
    def fingerprint(self) -> str:
        """The model's fingerprint."""
        return self.contract.fingerprint

    def encode(
        self, images: NDArray[Any], what: str = "pictures", progress: bool = False, batch: int = 128
    ) -> HashCodes:
        """Encode prepared pictures, uint8 (N, S, S, 3), or vectors, float32 (N, D), with logits at both levels.

        Raises:
            InvalidInput: another shape or dtype.
        """
        name = self.contract.input_name
        kind, (_, *shape) = self.contract.tensors()[name]
        if images.dtype != (np.uint8 if kind == "UINT8" else np.float32) or images.shape[1:] != tuple(shape):
            taken = "float32 vectors" if self.contract.takes_vectors else "uint8 pictures"
            raise InvalidInput(f"the model takes {taken} of {tuple(shape)}, got {images.dtype} {images.shape}")
        outputs = [COARSE_CODE, FINE_CODE, COARSE_LOGITS, FINE_LOGITS]
        starts = tqdm(range(0, len(images), batch), desc=f"encoding {what}", unit="batch", disable=not progress)
        return HashCodes.concatenate(
            [HashCodes(*self._session.run(outputs, {name: images[start : start + batch]})) for start in starts]
        )


def find_model(path: Path) -> Path:
    """The model.onnx that a path stands for.

    Raises:
        InvalidInput: there is none.
    """
    for candidate in (path, path / "model.onnx", path / "1" / "model.onnx", path / "hash_encoder" / "1" / "model.onnx"):
        if candidate.is_file():
            return candidate
    raise InvalidInput(f"no model.onnx at {path}; make one with `hashgrain export`")
