"""Lower precision: an exported model with its body in 16-bit floats or 8-bit integers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from hashgrain.codes import EncoderContract
from hashgrain.codes.errors import InvalidInput
from hashgrain.export.float_graph import plain_float
from hashgrain.export.half import to_half
from hashgrain.export.metadata import stamp
from hashgrain.export.quantised import to_int8


class Precision(StrEnum):
    """What the body of a served network computes in; logits, codes and the contract are the same in all of them."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


@dataclass(frozen=True)
class Lowering:
    """How a model loses precision.

    Attributes:
        precision: FP16 or INT8.
        float_layers: for INT8, how many of the first convolutions stay in single precision.
        calibration: for INT8, how many pictures give the ranges of activations.

    Raises:
        InvalidInput: a number is out of its range.
    """

    precision: Precision
    float_layers: int = 6
    calibration: int = 512

    def __post_init__(self) -> None:
        if self.precision is Precision.FP32:
            raise InvalidInput("fp32 is what a model is exported in; choose fp16 or int8 to lower it")
        if self.float_layers < 0 or self.calibration < 1:
            raise InvalidInput(
                f"float_layers must be at least 0 and calibration at least 1, got {self.float_layers} and "
                f"{self.calibration}"
            )


def lower(model: Path, lowering: Lowering, pictures: NDArray[np.uint8]) -> tuple[onnx.ModelProto, EncoderContract]:
    """Convert an exported model.

    Args:
        model: model.onnx, in single precision, its weights in 32 or 16 bits.
        lowering: how.
        pictures: training pictures to calibrate INT8 by, uint8 (N, S, S, 3).

    Returns:
        The model with its contract in the metadata, and the contract: that of `model` but for the fingerprint, since
        codes differ.

    Raises:
        InvalidInput: the model is quantised already, or has nothing to convert.
    """
    original = onnx.load(model)
    contract = EncoderContract.from_metadata({entry.key: entry.value for entry in original.metadata_props}, str(model))
    plain = plain_float(model)
    if lowering.precision is Precision.FP16:
        converted = to_half(plain)
    else:
        converted = to_int8(plain, pictures, lowering.float_layers)
    del converted.metadata_props[:]
    del converted.graph.value_info[:]
    onnx.checker.check_model(converted, full_check=True)
    return converted, stamp(converted, contract)
