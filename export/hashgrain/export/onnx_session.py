"""Encode pictures by an exported model in ONNX Runtime, for evaluation and certificates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.contract import COARSE_CODE, COARSE_LOGITS, FINE_CODE, FINE_LOGITS
from hashgrain.codes.errors import InvalidInput
from hashgrain.codes.onnx_model import OnnxModel


class OnnxEncoder:
    """An exported hash encoder in this process; see `OnnxModel` for the arguments and errors."""

    def __init__(self, model: Path, threads: int | None = None) -> None:
        self._model = OnnxModel(model, threads)
        self.contract = self._model.contract

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
        kind, (_, *shape) = self.contract.tensors()[self.contract.input_name]
        if images.dtype != (np.uint8 if kind == "UINT8" else np.float32) or images.shape[1:] != tuple(shape):
            taken = "float32 vectors" if self.contract.takes_vectors else "uint8 pictures"
            raise InvalidInput(f"the model takes {taken} of {tuple(shape)}, got {images.dtype} {images.shape}")
        outputs = (COARSE_CODE, FINE_CODE, COARSE_LOGITS, FINE_LOGITS)
        starts = tqdm(range(0, len(images), batch), desc=f"encoding {what}", unit="batch", disable=not progress)
        batches = (self._model.run(images[start : start + batch], outputs) for start in starts)
        return HashCodes.concatenate([HashCodes(*found.values()) for found in batches])
