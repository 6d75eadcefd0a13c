"""From a trained network to one ONNX graph: uint8 NHWC pictures, or vectors, in; packed codes and logits out."""

from __future__ import annotations

import logging
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from hashgrain.codes import CodeLayout, EncoderContract
from hashgrain.codes.contract import COARSE_CODE, COARSE_LOGITS, FINE_CODE, FINE_LOGITS, IMAGE, VECTOR
from hashgrain.export.metadata import stamp
from hashgrain.export.network import HashNetwork

OPSET = 18
SMALL = 256
"""Constants of fewer elements, and vectors of any length, stay in full precision: they cost next to nothing."""


class ServingNetwork(nn.Module):
    """The network as it is served: packs its own bits, so that a few bytes a picture leave the server."""

    powers: Tensor

    def __init__(self, network: HashNetwork) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("powers", 2.0 ** torch.arange(7, -1, -1))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """uint8 (B, S, S, 3) → coarse code, fine code (uint8), coarse logits, fine logits (float32)."""
        return self._answer(image.permute(0, 3, 1, 2).float())

    def _answer(self, batch: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        coarse, fine = self.network(batch)
        return self._pack(coarse), self._pack(fine), coarse, fine

    def _pack(self, logits: Tensor) -> Tensor:
        bits = (logits > 0).float()
        padded = functional.pad(bits, (0, -bits.shape[1] % 8))
        values: Tensor = padded.reshape(-1, padded.shape[1] // 8, 8) @ self.powers
        return values.to(torch.uint8)


class ServingVectors(ServingNetwork):
    """The same for a network of vectors."""

    def forward(self, vector: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """float32 (B, D) → see `ServingNetwork`."""
        return self._answer(vector)


def export_onnx(
    network: HashNetwork,
    layout: CodeLayout,
    input_size: int,
    fine_names: tuple[str, ...],
    coarse_names: tuple[str, ...],
    compact: bool = True,
    vector_width: int = 0,
) -> tuple[onnx.ModelProto, EncoderContract]:
    """Make the served graph.

    Args:
        network: in evaluation mode, on the CPU.
        layout, input_size: as the network was trained.
        fine_names, coarse_names: class names for the metadata.
        compact: store weights in 16 bits instead of 32; the arithmetic stays in single precision.
        vector_width: of a network of vectors, which has no input_size; else 0.

    Returns:
        The model with its contract in the metadata, and the contract.
    """
    model = (
        _trace_vectors(network.eval(), vector_width) if vector_width else _trace_pictures(network.eval(), input_size)
    )
    if compact:
        _store_as_int16(model)
    onnx.checker.check_model(model)
    contract = EncoderContract(
        layout, 0 if vector_width else input_size, "", fine_names, coarse_names, vector_width=vector_width
    )
    return model, stamp(model, contract)


def _trace_pictures(network: HashNetwork, size: int) -> onnx.ModelProto:
    return _trace(ServingNetwork(network), IMAGE, torch.zeros((2, size, size, 3), dtype=torch.uint8))


def _trace_vectors(network: HashNetwork, width: int) -> onnx.ModelProto:
    return _trace(ServingVectors(network), VECTOR, torch.zeros((2, width)))


def _trace(serving: ServingNetwork, name: str, example: Tensor) -> onnx.ModelProto:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            serving,
            (example,),
            path,
            dynamo=True,
            external_data=False,
            input_names=[name],
            output_names=[COARSE_CODE, FINE_CODE, COARSE_LOGITS, FINE_LOGITS],
            dynamic_shapes={name: {0: torch.export.Dim("batch")}},
            opset_version=OPSET,
            verbose=False,
        )
        model = onnx.load(path)
    for node in model.graph.node:  # file names and lines of the exporting machine are nobody's business
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    return model


def _store_as_int16(model: onnx.ModelProto) -> None:
    """Store matrices and kernels as 16-bit integers with one scale per output channel: half the file.

    A channel's integers span its own range, so a weight is off by at most 1/65,534 of the channel's largest; float16
    would be off by up to 1/2,048 of the weight itself, which flips many more bits. ONNX Runtime folds Cast and Mul away
    when it loads the model, and computes in single precision.
    """
    added: list[onnx.NodeProto] = []
    scales: list[TensorProto] = []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or len(weight.dims) < 2 or np.prod(weight.dims) < SMALL:
            continue
        values, name = numpy_helper.to_array(weight), weight.name
        largest = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True)
        scale = np.where(largest > 0, largest / 32767, 1).astype(np.float32)
        weight.CopyFrom(numpy_helper.from_array(np.rint(values / scale).astype(np.int16), f"{name}_int16"))
        scales.append(numpy_helper.from_array(scale, f"{name}_scale"))
        added += [
            helper.make_node("Cast", [f"{name}_int16"], [f"{name}_cast"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{name}_cast", f"{name}_scale"], [name]),
        ]
    model.graph.initializer.extend(scales)
    for node in reversed(added):
        model.graph.node.insert(0, node)
