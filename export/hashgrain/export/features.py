"""Float features of pictures, by a backbone as it is published or by that of a run, kept in files for others to use."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import DataError, InvalidInput
from hashgrain.export import readers
from hashgrain.export.backbones import build_backbone
from hashgrain.export.inference import choose_device, to_input
from hashgrain.export.network import HashNetwork
from hashgrain.export.protocols import load_task
from hashgrain.export.run_folder import RunFolder

ARRAYS = ("queries", "database", "query_labels", "database_labels", "training", "names")


@dataclass(frozen=True, eq=False)
class FeatureTask:
    """A retrieval task as vectors.

    Attributes:
        queries, database: float32 (Q, D) and (N, D).
        query_labels, database_labels: int64 (Q,) and (N,), the classes.
        training: int64 (M,), the positions in the database whose labels training may see.
        names: str (classes,), what the classes are called.
        description: of pictures, protocol and backbone, for people.
    """

    queries: NDArray[np.float32]
    database: NDArray[np.float32]
    query_labels: NDArray[np.int64]
    database_labels: NDArray[np.int64]
    training: NDArray[np.int64]
    names: NDArray[np.str_]
    description: str

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.names)


def feature_task(
    data: str, backbone: str, size: int, seed: int, cache: Path | None, protocol: str = "p1", progress: bool = False
) -> FeatureTask:
    """Features of a protocol's pictures.

    Args:
        data, size, seed, protocol: see `protocols.load_task`.
        backbone: its name; its published weights are used as they are.
        cache: a .npz file to read them from, or to keep them in where it does not exist yet; None for neither.
        progress: show a progress bar.

    Raises:
        DataError: the data or the file cannot be read, or the file holds the features of something else.
    """
    wanted = f"{protocol} of {data} (seed {seed}), {backbone} with published weights at {size} x {size}"
    if cache is not None and cache.exists():
        return _read(cache, wanted)
    task = load_task(protocol, data, size, seed=seed)
    features = extractor(published(backbone, seed), "cpu", progress)
    found = FeatureTask(
        features(task.queries.images, "queries"),
        features(task.database.images, "database"),
        task.queries.fine,
        task.database.fine,
        task.training,
        np.array(task.database.fine_names),
        wanted,
    )
    if cache is not None:
        np.savez(cache, description=np.array(wanted), **{name: getattr(found, name) for name in ARRAYS})
    return found


def write_features(
    source: str, folder: Path, network: HashNetwork, size: int, device: str = "auto", progress: bool = False
) -> dict[str, tuple[int, int]]:
    """Write both splits' features as files of vectors, as `readers.vectors` reads them.

    Args:
        source: labelled pictures, see `readers.load`.
        folder: train.npy, train.labels.npy, test.npy and test.labels.npy are written here.
        network: whose backbone is asked: `published`, or `of_run`.
        size: side of its square input.
        device: see `inference.choose_device`.
        progress: show a progress bar.

    Returns:
        The shape of each split's vectors, by name.

    Raises:
        DataError: the data cannot be read, or the folder cannot be written to.
    """
    features = extractor(network, device, progress)
    shapes = {}
    for split in ("train", "test"):
        data = readers.load(source, split, size)
        vectors = features(data.images, split)
        levels = ((np.array(data.fine_names), data.fine), (np.array(data.coarse_names), data.coarse))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            np.save(folder / f"{split}.npy", vectors)
            np.save(folder / f"{split}.labels.npy", np.stack([names[labels] for names, labels in levels], axis=1))
        except OSError as exc:
            raise DataError(f"{folder} cannot be written to ({exc}); give another folder") from exc
        shapes[split] = vectors.shape
    return shapes


def published(backbone: str, seed: int = 0) -> HashNetwork:
    """A network around a backbone as it is published; the seed decides weights that are not published."""
    torch.manual_seed(seed)
    return HashNetwork(build_backbone(backbone, pretrained=True), CodeLayout())


def of_run(run: RunFolder) -> tuple[HashNetwork, int]:
    """The network of a finished run, and the side of its input.

    Raises:
        TrainingError: the run has not ended.
        InvalidInput: it takes vectors, which are its features.
    """
    settings = run.settings()
    if settings.vector_width:
        raise InvalidInput(f"{run.path} takes vectors, which are all the features that it has; name a run on pictures")
    network, _, _ = run.load_network()
    return network, settings.input_size


def extractor(
    network: HashNetwork, device: str = "auto", progress: bool = False
) -> Callable[[NDArray[np.uint8], str], NDArray[np.float32]]:
    """A network's backbone as a function: uint8 pictures (N, S, S, 3) and what they are → float32 (N, D)."""
    chosen = choose_device(device)

    def features(images: NDArray[np.uint8], what: str) -> NDArray[np.float32]:
        found: NDArray[np.float32] = backbone_features(network, images, chosen, progress, what).numpy()
        return found

    return features


@torch.no_grad()
def backbone_features(
    network: HashNetwork,
    images: NDArray[Any],
    device: torch.device,
    progress: bool,
    what: str = "pictures",
    batch: int = 256,
) -> Tensor:
    """What the heads are fed, float32 (N, D) on the CPU, of uint8 pictures (N, S, S, 3) or of vectors."""
    network = network.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    starts = tqdm(range(0, len(images), batch), desc=f"features of {what}", unit="batch", disable=not progress)
    parts = [network.features(to_input(images[n : n + batch], device)).float().cpu() for n in starts]
    network.to("cpu")
    return torch.cat(parts)


def _read(path: Path, wanted: str) -> FeatureTask:
    try:
        with np.load(path, allow_pickle=False) as file:
            description = str(file["description"])
            arrays = {name: file[name] for name in ARRAYS}
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as exc:
        raise DataError(f"cannot read features from {path} ({exc}); remove it to have them computed anew") from exc
    if description != wanted:
        raise DataError(f"{path} holds features of {description}, not of {wanted}; name another file")
    return FeatureTask(**arrays, description=description)
