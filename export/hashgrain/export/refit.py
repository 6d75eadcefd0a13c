"""Fit new heads to a trained backbone: `refit(source, target, settings)`.

Augmented and mixed pictures make a good backbone, but leave the codes of whole pictures short of their targets. Heads
are linear: fitted once more, to the finished backbone's features of un-augmented training pictures, they bring codes
home within a minute. They may also have other lengths, other free bits, or another hierarchy above the classes, than
those that the backbone grew up with.
"""

from __future__ import annotations

import dataclasses
import time

import torch
from torch import Tensor, nn
from tqdm import tqdm

from hashgrain.codes.errors import InvalidInput, TrainingError
from hashgrain.export.batches import Labels
from hashgrain.export.dataset import split_validation
from hashgrain.export.features import backbone_features
from hashgrain.export.inference import choose_device
from hashgrain.export.losses import HierarchicalHashLoss, build_loss
from hashgrain.export.network import HashNetwork
from hashgrain.export.protocols import run_pictures
from hashgrain.export.run_folder import RunFolder
from hashgrain.export.trainer import one_cycle

BATCH = 1000
RATE, DECAY, WARMUP = 3e-3, 1e-2, 0.2
HEADS = (
    "hierarchy",
    "coarse_level",
    "coarse_bits",
    "fine_bits",
    "scale",
    "margin",
    "coarse_weight",
    "quantisation_weight",
    "free_bits",
    "free_weight",
)
"""Settings that new heads may have of their own; the others are those of the run that the backbone comes from."""


def refit(
    source: RunFolder,
    target: RunFolder,
    changes: dict[str, int | float | str],
    epochs: int = 15,
    device: str = "auto",
    progress: bool = True,
) -> HashNetwork:
    """Fit heads to the backbone of a finished run, and keep the whole network as a run of its own.

    Args:
        source: the finished run; its pictures, split and validation share are used again.
        target: the new run; `RunFolder.create`.
        changes: settings out of HEADS that differ from the source's.
        epochs: passes over the features.
        device: see `train.train`; it computes the features, in float32.
        progress: show progress bars.

    Returns:
        The network in evaluation mode on the CPU.

    Raises:
        InvalidInput, DataError: the settings or the data do not fit.
        TrainingError: the source has not ended, or has too few pictures for a batch.
    """
    foreign = sorted(set(changes) - set(HEADS))
    if foreign:
        raise InvalidInput(f"new heads cannot change {foreign}, which made the backbone; they may change {list(HEADS)}")
    start = time.monotonic()
    trained, fine_names, _ = source.load_network()
    if "hierarchy" in changes:
        changes = {"coarse_level": 0, **changes}  # the source's level is one of its own hierarchy's
    settings = dataclasses.replace(source.settings(), **changes)  # type: ignore[arg-type]
    data, _ = split_validation(run_pictures(settings), settings.validation, settings.seed)
    if data.fine_names != fine_names:
        raise TrainingError(f"{data.source} has other classes than the run {source.path} was trained on")
    features = backbone_features(trained, data.images, choose_device(device), progress)
    torch.manual_seed(settings.seed)
    network = HashNetwork.around(trained, settings.layout)
    fit_heads(network, features, torch.from_numpy(data.fine), build_loss(settings, data.hierarchy), epochs, progress)
    target.begin(settings)
    target.finish(network, data, time.monotonic() - start, torch.device("cpu"))
    return network


def fit_heads(
    network: HashNetwork,
    features: Tensor,
    labels: Tensor,
    loss: HierarchicalHashLoss,
    epochs: int,
    progress: bool,
    batch: int = BATCH,
) -> None:
    """Train both heads in place on features, float (N, D), and classes, int64 (N,); leaves them in evaluation mode.

    Their BatchNorm then holds the statistics of all features.
    """
    size = min(batch, len(features))
    if size < 2:
        raise TrainingError(f"{len(features)} pictures do not make a batch; heads need at least 2")
    heads = (network.coarse_head, network.fine_head)
    optimiser = torch.optim.AdamW([weight for head in heads for weight in head.parameters()], weight_decay=DECAY)
    steps = epochs * (len(features) // size)
    network.train()
    order = torch.empty(0, dtype=torch.int64)
    for step in tqdm(range(steps), desc="fitting heads", unit="step", disable=not progress):
        if len(order) < size:
            order = torch.randperm(len(features))
        rows, order = order[:size], order[size:]
        for group in optimiser.param_groups:
            group["lr"] = RATE * one_cycle(step / steps, WARMUP)
        coarse, fine = (head(features[rows]) for head in heads)
        optimiser.zero_grad()
        loss(coarse, fine, Labels(labels[rows])).total.backward()
        optimiser.step()
    with torch.no_grad():
        for head in heads:
            normalise = head[1]
            assert isinstance(normalise, nn.BatchNorm1d)
            normalise.momentum = 1.0  # the statistics of one batch, which is everything
            head(features)
    network.eval()
