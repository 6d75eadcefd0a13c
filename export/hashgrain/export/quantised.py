"""INT8: a graph's body in 8-bit integers, by ONNX Runtime's static quantisation (Q/DQ form); for CPUs.

Weights are signed with one scale per output channel: with a single scale, depthwise convolutions, whose channels differ
a hundredfold, flip a third of all bits. Activations are unsigned with a zero point, which is what the VNNI instructions
of x86-64 multiply fastest, and their ranges come from real pictures.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from hashgrain.codes.contract import IMAGE
from hashgrain.export.float_graph import body, outside_of

QUANTISED = ("Conv", "Gemm", "MatMul", "Add", "Relu", "Clip", "MaxPool")
"""Activations must be among them: else a convolution's output is quantised before ReLU6 has bounded it."""

BATCH = 32


def to_int8(model: onnx.ModelProto, pictures: NDArray[np.uint8], float_layers: int) -> onnx.ModelProto:
    """The graph with its body in 8 bits.

    Args:
        model: as `float_graph.plain_float` makes it.
        pictures: uint8 (N, S, S, 3), by which the activations' ranges are found.
        float_layers: the first so many convolutions keep single precision: they cost little, and every later layer
            inherits their error.

    Raises:
        InvalidInput: no layer is left to quantise.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    exact = outside_of(model, body(model, float_layers))
    with tempfile.TemporaryDirectory() as folder, _without_advice():
        quantised = Path(folder) / "int8.onnx"
        quantize_static(
            model,
            quantised,
            _Calibration(pictures),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTISED),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=exact,
            extra_options={"MatMulConstBOnly": True},
        )
        return onnx.load(quantised)


class _Calibration:
    """ONNX Runtime's reader of calibration data: one feed after another, then None."""

    def __init__(self, pictures: NDArray[np.uint8]) -> None:
        self._feeds = iter([{IMAGE: pictures[start : start + BATCH]} for start in range(0, len(pictures), BATCH)])

    def get_next(self) -> dict[str, Any] | None:
        return next(self._feeds, None)

    def set_range(self, start_index: int, end_index: int) -> None:
        raise NotImplementedError("only asked for by calibration in strides, which is not used")


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keep what the library advises in its log, such as to preprocess the model, which is done."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
