"""A hash encoder of a few kilobytes, made without torch: fixed random projections of an 8 x 8 thumbnail.

It keeps the whole contract (tensors, metadata, config.pbtxt, fingerprint), so that every test of serving and
searching runs on the real servers within seconds. Near pictures get near codes; that is all it knows.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hashgrain.codes import CodeLayout, EncoderContract
from hashgrain.export.metadata import stamp
from hashgrain.export.serving_settings import ServingSettings
from hashgrain.export.triton_config import encoder_config

SIZE = 32

MODELS = Path(__file__).resolve().parent.parent / "model_repository"
IMAGE_SEARCH, PIXEL_SEARCH = MODELS / "image_search", MODELS / "pixel_search"


def tiny_model(
    layout: CodeLayout | None = None, seed: int = 0, size: int = SIZE
) -> tuple[onnx.ModelProto, EncoderContract]:
    """The model and its contract."""
    layout = layout or CodeLayout(16, 64)
    rng = np.random.default_rng(seed)
    features = 8 * 8 * 3
    constants = {
        "cells": np.array([0, features], np.int64),
        "mean": np.float32(0.5),
        "scale": np.float32(1 / 255),
        "project_coarse": rng.normal(size=(features, layout.coarse_bits)).astype(np.float32),
        "project_fine": rng.normal(size=(features, layout.fine_bits)).astype(np.float32),
        "zero": np.float32(0),
        "powers": (2.0 ** np.arange(7, -1, -1)).astype(np.float32).reshape(8, 1),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["pixels"], ["chw"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["chw"], ["thumbnail"], kernel_shape=[size // 8] * 2, strides=[size // 8] * 2),
        helper.make_node("Mul", ["thumbnail", "scale"], ["unit"]),
        helper.make_node("Sub", ["unit", "mean"], ["centred"]),
        helper.make_node("Reshape", ["centred", "cells"], ["features"]),
    ]
    for kind, bits in (("coarse", layout.coarse_bits), ("fine", layout.fine_bits)):
        padding = -bits % 8
        width = (bits + padding) // 8
        constants[f"{kind}_pads"] = np.array([0, 0, 0, padding], np.int64)
        constants[f"{kind}_bytes"] = np.array([-1, width, 8], np.int64)
        constants[f"{kind}_flat"] = np.array([-1, width], np.int64)
        nodes += [
            helper.make_node("MatMul", ["features", f"project_{kind}"], [f"{kind}_logits"]),
            helper.make_node("Greater", [f"{kind}_logits", "zero"], [f"{kind}_bits"]),
            helper.make_node("Cast", [f"{kind}_bits"], [f"{kind}_float"], to=TensorProto.FLOAT),
            helper.make_node("Pad", [f"{kind}_float", f"{kind}_pads"], [f"{kind}_padded"]),
            helper.make_node("Reshape", [f"{kind}_padded", f"{kind}_bytes"], [f"{kind}_grouped"]),
            helper.make_node("MatMul", [f"{kind}_grouped", "powers"], [f"{kind}_values"]),
            helper.make_node("Reshape", [f"{kind}_values", f"{kind}_flat"], [f"{kind}_row"]),
            helper.make_node("Cast", [f"{kind}_row"], [f"{kind}_code"], to=TensorProto.UINT8),
        ]
    contract = EncoderContract(layout, size, "", fine_classes=("left", "right"), coarse_classes=("all",))
    types = {"UINT8": TensorProto.UINT8, "FP32": TensorProto.FLOAT}
    values = {
        name: helper.make_tensor_value_info(name, types[dtype], ["batch", *shape[1:]])
        for name, (dtype, shape) in contract.tensors().items()
    }
    graph = helper.make_graph(
        nodes,
        "tiny_hash_encoder",
        [values.pop("image")],
        list(values.values()),
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model, stamp(model, contract)


def write_tiny_repository(
    root: Path, layout: CodeLayout | None = None, seed: int = 0, settings: ServingSettings | None = None
) -> EncoderContract:
    """Write `root`/hash_encoder as a Triton model repository and return the contract."""
    return write_tiny_versions(root, {1: seed}, layout, settings)[1]


def write_tiny_versions(
    root: Path, seeds: dict[int, int], layout: CodeLayout | None = None, settings: ServingSettings | None = None
) -> dict[int, EncoderContract]:
    """Write `root`/hash_encoder with several versions, each of its own seed; returns their contracts."""
    contracts = {}
    for version, seed in seeds.items():
        model, contracts[version] = tiny_model(layout, seed)
        folder = root / "hash_encoder" / str(version)
        folder.mkdir(parents=True)
        onnx.save(model, folder / "model.onnx")
    config = encoder_config(contracts, settings or ServingSettings())
    (root / "hash_encoder" / "config.pbtxt").write_text(config)
    return contracts


def add_image_search(root: Path) -> Path:
    """Copy the model image_search into a repository, and pixel_search; returns the folder of the first there."""
    for folder in (IMAGE_SEARCH, PIXEL_SEARCH):
        shutil.copytree(folder, root / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
    return root / IMAGE_SEARCH.name
