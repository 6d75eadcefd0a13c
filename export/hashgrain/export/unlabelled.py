"""A hashing network without labels: `fit_unlabelled(settings, run)`.

The backbone stays as it was published; both heads are linear codes fitted to its features by iterative quantisation
(`itq`). What comes out is a run like any other: it is exported, served and measured in the same way.
"""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hashgrain.codes import HashCodes, hamming
from hashgrain.codes.errors import DataError, ImageRejected
from hashgrain.codes.images import IMAGE_SUFFIXES, decode
from hashgrain.codes.packing import coarse_keys
from hashgrain.export import readers
from hashgrain.export.dataset import LabelledImages, evenly_spaced_rows
from hashgrain.export.features import backbone_features
from hashgrain.export.inference import choose_device
from hashgrain.export.itq import LinearCode, fit_itq
from hashgrain.export.metrics import bucket_statistics, within_nearest
from hashgrain.export.network import HashNetwork, build_network
from hashgrain.export.run_folder import RunFolder
from hashgrain.export.settings import TrainSettings
from hashgrain.export.vectors import for_vectors

NEIGHBOURS = 10
PROBED = 500


@dataclass(frozen=True)
class LabelFreeFigures:
    """What can be said of codes without labels, on the pictures that they were fitted to.

    Attributes:
        least_balanced: the share of ones of the fine bit farthest from half and half.
        entropy_bits, largest_bucket: of the coarse code, see `metrics.bucket_statistics`.
        neighbours_kept: mean share of the 10 nearest by cosine of the features that are within the 10 nearest by fine
            code, ties counted in proportion, over 500 pictures.
    """

    least_balanced: float
    entropy_bits: float
    largest_bucket: float
    neighbours_kept: float


def fit_unlabelled(
    settings: TrainSettings, run: RunFolder, device: str = "auto", progress: bool = True
) -> LabelFreeFigures:
    """Fit both heads to the pictures' features and keep the network as a finished run.

    Args:
        settings: data, backbone, input size, code lengths and seed count; the others are for training with labels.
        run: `RunFolder.create`.
        device: where the features are computed.
        progress: show a progress bar.

    Raises:
        DataError: the pictures cannot be read.
        InvalidInput: there are fewer pictures than bits.
    """
    start = time.monotonic()
    torch.manual_seed(settings.seed)
    data = pictures_alone(settings.data, "train", settings.input_size)
    if data.images.ndim == 2:
        settings = for_vectors(settings, data)
    network = build_network(settings)
    features = backbone_features(network, data.images, choose_device(device), progress).numpy()
    _fit_heads(network, features, settings)
    run.begin(dataclasses.replace(settings, unlabelled=True))
    run.finish(network, data, time.monotonic() - start, torch.device("cpu"))
    figures = label_free_figures(network, features)
    summary = run.path / "summary.json"
    told = json.loads(summary.read_text()) | {"label_free": dataclasses.asdict(figures)}
    summary.write_text(json.dumps(told, indent=2) + "\n")
    return figures


def itq_network(settings: TrainSettings, vectors: NDArray[np.float32]) -> HashNetwork:
    """A network of vectors whose heads were fitted to some without labels, in evaluation mode."""
    network = build_network(settings)
    features = backbone_features(network, vectors, torch.device("cpu"), progress=False).numpy()
    _fit_heads(network, features, settings)
    return network


def pictures_alone(source: str | Path, split: str, size: int) -> LabelledImages:
    """Pictures whose labels, if there are any, are not looked at: all of one class.

    Args:
        source: a folder with pictures at any depth, or what `readers.load` takes; vectors need have no labels.
        split: ``train`` or ``test``; a folder of pictures serves both.
        size: S, side of the network's input.

    Raises:
        DataError: there are no pictures, or one cannot be read.
    """
    path = Path(source)
    files = sorted(p for p in path.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES) if path.is_dir() else []
    if files and not (path / split).is_dir():
        images: NDArray[Any] = np.empty((len(files), size, size, 3), np.uint8)
        for row, file in enumerate(files):
            try:
                images[row] = decode(file.read_bytes(), size, str(file))
            except (ImageRejected, OSError) as exc:
                raise DataError(f"cannot read {file}: {exc}; repair or remove it") from exc
        name = str(source)
    elif readers.holds_vectors(source):
        images, name = readers.load_vectors(source, split)
    else:
        labelled = readers.load(source, split, size)
        images, name = labelled.images, labelled.source
    labels = np.zeros(len(images), np.int64)
    return LabelledImages(images, labels, np.zeros(1, np.int64), ("all",), ("all",), f"{name}, labels unseen")


def label_free_figures(network: HashNetwork, features: NDArray[np.float32]) -> LabelFreeFigures:
    """See `LabelFreeFigures`; `features` are float32 (N, D)."""
    with torch.inference_mode():
        rows = torch.from_numpy(features)
        codes = HashCodes.from_logits(network.coarse_head(rows).numpy(), network.fine_head(rows).numpy())
    assert codes.coarse_logits is not None
    assert codes.fine_logits is not None
    ones = (codes.fine_logits > 0).mean(0)
    buckets = bucket_statistics(coarse_keys(codes.coarse, codes.coarse_logits.shape[1]))
    return LabelFreeFigures(
        least_balanced=float(ones[np.abs(ones - 0.5).argmax()]),
        entropy_bits=buckets["entropy_bits"],
        largest_bucket=buckets["largest_share"],
        neighbours_kept=neighbours_kept(features, codes.fine),
    )


def neighbours_kept(features: NDArray[np.float32], fine: NDArray[np.uint8]) -> float:
    """Mean overlap of the nearest by cosine and by code, over PROBED pictures that look for the others."""
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    k = min(NEIGHBOURS, len(features) - 1)
    kept = []
    for row in evenly_spaced_rows(len(features), PROBED):
        cosine, distance = unit @ unit[row], hamming(fine[row : row + 1], fine)[0].astype(np.int64)
        cosine[row], distance[row] = -np.inf, np.iinfo(np.int64).max
        nearest = np.argpartition(-cosine, k - 1)[:k]
        kept.append(within_nearest(distance, k)[nearest].sum() / k)
    return float(np.mean(kept))


def _fit_heads(network: HashNetwork, features: NDArray[np.float32], settings: TrainSettings) -> None:
    for head, bits in ((network.coarse_head, settings.coarse_bits), (network.fine_head, settings.fine_bits)):
        _set_head(head, fit_itq(features, bits, settings.seed))
    network.eval()


def _set_head(head: nn.Sequential, code: LinearCode) -> None:
    """A linear map and BatchNorm's statistics are just what a linear code is."""
    linear, normalise = head
    assert isinstance(linear, nn.Linear)
    assert isinstance(normalise, nn.BatchNorm1d)
    assert normalise.running_mean is not None
    assert normalise.running_var is not None
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(code.weights))
        normalise.running_mean.copy_(torch.from_numpy(code.thresholds))
        normalise.running_var.copy_(torch.from_numpy(code.scales).square())
