"""Train on vectors that another network has made: `fit_vectors(settings, run)`.

Heads are all that there is to learn, and they are linear, so that a pass over 50,000 vectors takes a second. What comes
out is a run like any other: it is exported, served and measured in the same way, with vectors in place of pictures.
"""

from __future__ import annotations

import time

import torch

from hashgrain.export.dataset import LabelledImages, split_validation
from hashgrain.export.features import backbone_features
from hashgrain.export.learned_groups import with_coarse_level
from hashgrain.export.losses import build_loss
from hashgrain.export.network import HashNetwork, build_network
from hashgrain.export.protocols import run_pictures
from hashgrain.export.refit import BATCH, fit_heads
from hashgrain.export.run_folder import RunFolder
from hashgrain.export.settings import TrainSettings
from hashgrain.export.vectors import for_vectors

STEPS = 32
"""A pass over few vectors takes so many steps, in smaller batches, down to 64 vectors."""


def fit_vectors(settings: TrainSettings, run: RunFolder, progress: bool = True) -> HashNetwork:
    """Fit both heads to labelled vectors and keep the network as a finished run.

    Args:
        settings: see `vectors.SETTINGS`; the others stay at their defaults.
        run: `RunFolder.create`.
        progress: show a progress bar.

    Returns:
        The network in evaluation mode.

    Raises:
        DataError: the vectors cannot be read.
        InvalidInput: a setting is for pictures alone.
        TrainingError: there are fewer than two vectors.
    """
    start = time.monotonic()
    data = run_pictures(settings)
    settings = for_vectors(settings, data)
    data, learned = with_coarse_level(settings, data)
    training, _ = split_validation(data, settings.validation, settings.seed)
    network = fitted_network(settings, training, progress)
    run.begin(settings, learned)
    run.finish(network, training, time.monotonic() - start, torch.device("cpu"))
    return network


def fitted_network(settings: TrainSettings, data: LabelledImages, progress: bool) -> HashNetwork:
    """A network whose heads have learned labelled vectors, in evaluation mode; see `vectors.for_vectors`."""
    torch.manual_seed(settings.seed)
    network = build_network(settings)
    features = backbone_features(network, data.images, torch.device("cpu"), progress)
    loss = build_loss(settings, data.hierarchy)
    batch = min(BATCH, max(64, len(features) // STEPS))
    fit_heads(network, features, torch.from_numpy(data.fine), loss, settings.epochs, progress, batch)
    return network
