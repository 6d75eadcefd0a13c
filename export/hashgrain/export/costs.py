"""What a backbone costs: parameters, arithmetic, file and speed of the network that is served, before any training."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hashgrain.codes import CodeLayout
from hashgrain.export.backbones import build_backbone
from hashgrain.export.graph import export_onnx
from hashgrain.export.network import HashNetwork
from hashgrain.export.onnx_session import OnnxEncoder
from hashgrain.export.throughput import pictures_per_second

LAYOUT = CodeLayout(16, 64)


@dataclass(frozen=True)
class BackboneCost:
    """One backbone with heads of 16 and 64 bits.

    Attributes:
        name: as `backbones.build_backbone` takes it.
        input_size: side of the pictures in pixels.
        parameters: weights of the backbone alone.
        macs: multiplications with addition for one picture, heads included.
        onnx_bytes: the exported file, weights in 16 bits.
        images_per_second: of ONNX Runtime.
    """

    name: str
    input_size: int
    parameters: int
    macs: int
    onnx_bytes: int
    images_per_second: float


@dataclass(frozen=True)
class _Built:
    name: str
    input_size: int
    network: HashNetwork
    parameters: int


def backbone_costs(
    names: Sequence[str], input_size: int | None = None, threads: int = 1, pictures: int = 64, rounds: int = 3
) -> tuple[BackboneCost, ...]:
    """Measure backbones in turn, without published weights.

    Args:
        names: as `backbones.build_backbone` takes them.
        input_size: side of the pictures; by default each backbone's own.
        threads: that compute.
        pictures, rounds: see `throughput.pictures_per_second`; the pictures are noise, in one batch.

    Raises:
        InvalidInput: there is no backbone of a name.
        MissingDependency: its package is not installed.
    """
    built = [_build(name, input_size) for name in names]
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        files = [_export(one, Path(folder) / f"{number}.onnx") for number, one in enumerate(built)]
        runs = {}
        for one, file in zip(built, files, strict=True):
            noise = rng.integers(0, 256, (pictures, one.input_size, one.input_size, 3), np.uint8)
            runs[one.name] = partial(OnnxEncoder(file, threads).encode, noise)
        rates = pictures_per_second(runs, pictures, rounds)
        return tuple(
            BackboneCost(one.name, one.input_size, one.parameters, _macs(one), file.stat().st_size, rates[one.name])
            for one, file in zip(built, files, strict=True)
        )


def software() -> str:
    """Machine and versions, for what is printed beside figures."""
    import onnxruntime

    return f"{platform.machine()}; PyTorch {torch.__version__}, ONNX Runtime {onnxruntime.__version__}"


def _build(name: str, input_size: int | None) -> _Built:
    backbone = build_backbone(name, pretrained=False)
    parameters = sum(weight.numel() for weight in backbone.module.parameters())
    network = HashNetwork(backbone, LAYOUT).eval()
    return _Built(name, input_size or backbone.input_size, network, parameters)


def _export(built: _Built, file: Path) -> Path:
    onnx.save(export_onnx(built.network, LAYOUT, built.input_size, (), ())[0], file)
    return file


def _macs(built: _Built) -> int:
    counter = FlopCounterMode(display=False)
    network: nn.Module = built.network
    with counter, torch.no_grad():
        network(torch.zeros(1, 3, built.input_size, built.input_size))
    return int(counter.get_total_flops()) // 2  # which counts a multiplication and an addition as two
