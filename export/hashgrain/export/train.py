"""Train a hashing network: `train(settings, run)`.

The default run reads from top to bottom. It is seeded and resumable: what a step computes follows from the settings,
the step's number and the checkpoint, so a run that was killed and resumed ends with the same weights. A run folder
holds settings.json, log.jsonl (one line per epoch), checkpoint.pt while it goes on, and network.pt at the end.
"""

from __future__ import annotations

import math
import time

import torch
from tqdm import tqdm

from hashgrain.codes.errors import TrainingError
from hashgrain.export.allocator import keep_freed_memory
from hashgrain.export.checkpoint import save_checkpoint
from hashgrain.export.dataset import split_validation
from hashgrain.export.inference import choose_device
from hashgrain.export.learned_groups import with_coarse_level
from hashgrain.export.losses import LossTerms
from hashgrain.export.network import HashNetwork
from hashgrain.export.protocols import run_pictures
from hashgrain.export.run_folder import RunFolder
from hashgrain.export.settings import TrainSettings
from hashgrain.export.trainer import Trainer

CHECKPOINT_SECONDS = 120


def train(settings: TrainSettings, run: RunFolder, device: str = "auto", progress: bool = True) -> HashNetwork:
    """Train until the last epoch, from the run's checkpoint where it has one.

    Args:
        settings: what to compute.
        run: where to keep it; `RunFolder.create` or `RunFolder.open`.
        device: ``cpu``, ``cuda``, or ``auto`` for a GPU where there is one.
        progress: show a progress bar.

    Returns:
        The averaged network in evaluation mode, also written to the run folder.

    Raises:
        DataError: the data cannot be read.
        TrainingError: the loss is no longer finite.
    """
    data, learned = with_coarse_level(settings, run_pictures(settings))
    torch.manual_seed(settings.seed)
    training, validation = split_validation(data, settings.validation, settings.seed)
    chosen = choose_device(device)
    if chosen.type == "cpu":
        keep_freed_memory()
    trainer = Trainer(settings, training, chosen)
    run.begin(settings, learned)
    trainer.resume(run)
    bar = tqdm(total=trainer.steps, initial=trainer.step, unit="step", disable=not progress)
    saved = time.monotonic()
    while trainer.step < trainer.steps:
        terms = trainer.advance()
        bar.update()
        if trainer.step % 20 == 0:
            _require_finite(terms, trainer.step)
            bar.set_postfix(fine=round(terms.fine.item(), 3), coarse=round(terms.coarse.item(), 3))
        if trainer.step % trainer.steps_per_epoch == 0:
            run.log(trainer.epoch_record(validation))
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            save_checkpoint(run.checkpoint, trainer.state())
            saved = time.monotonic()
    bar.close()
    network = trainer.averaged_network()
    run.finish(network, training, trainer.seconds, trainer.device)
    return network


def _require_finite(terms: LossTerms, step: int) -> None:
    if not math.isfinite(terms.total.item()):
        raise TrainingError(f"the loss is {terms.total.item()} at step {step}; lower backbone_lr and head_lr")
