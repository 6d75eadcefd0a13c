"""Train a hashing network: `train(settings, run)`.

The default run reads from top to bottom. It is seeded and resumable: what a step computes follows from the settings,
the step's number and the checkpoint, so a run that was killed and resumed ends with the same weights. A run folder
holds settings.json, log.jsonl (one line per epoch), checkpoint.pt while it goes on, and network.pt at the end.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from hashgrain.codes.errors import TrainingError
from hashgrain.export.allocator import keep_freed_memory
from hashgrain.export.augment import augment
from hashgrain.export.checkpoint import load_checkpoint, save_checkpoint
from hashgrain.export.dataset import LabelledImages, split_validation
from hashgrain.export.inference import target_accuracy, to_pixels
from hashgrain.export.losses import HierarchicalHashLoss, LossTerms
from hashgrain.export.network import HashNetwork, build_network
from hashgrain.export.protocols import training_pictures
from hashgrain.export.run_folder import RunFolder
from hashgrain.export.settings import TrainSettings
from hashgrain.export.targets import coarse_targets, fine_targets

CHECKPOINT_SECONDS = 120
CALIBRATION_BATCHES = 80


def train(settings: TrainSettings, run: RunFolder, device: str = "auto", progress: bool = True) -> HashNetwork:
    """Train until the last epoch, from the run's checkpoint where it has one.

    Args:
        settings: what to compute.
        run: where to keep it; `RunFolder.create` or `RunFolder.open`.
        device: ``cpu``, ``cuda``, or ``auto`` for a GPU where there is one. A CPU runs float32 in the channels-last
            layout, a GPU bfloat16.
        progress: show a progress bar.

    Returns:
        The averaged network in evaluation mode, also written to the run folder.

    Raises:
        DataError: the data cannot be read.
        TrainingError: the loss is no longer finite.
    """
    torch.manual_seed(settings.seed)
    data = training_pictures(
        settings.protocol, settings.data, settings.input_size, settings.hierarchy, settings.protocol_seed
    )
    training, validation = split_validation(data, settings.validation, settings.seed)
    chosen = _choose(device)
    if chosen == "cpu":
        keep_freed_memory()
    trainer = Trainer(settings, training, torch.device(chosen))
    run.begin(settings)
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
    run.finish(network, training, trainer.seconds)
    return network


class Trainer:
    """The moving parts of a run: network, averaged copy, optimiser, and the number of the next step."""

    def __init__(self, settings: TrainSettings, data: LabelledImages, device: torch.device) -> None:
        self.settings, self.data, self.device = settings, data, device
        self.steps_per_epoch = len(data) // settings.batch_size
        if self.steps_per_epoch == 0:
            raise TrainingError(
                f"{len(data)} training pictures do not fill one batch of {settings.batch_size}; lower batch_size"
            )
        self.steps = settings.epochs * self.steps_per_epoch
        self.step = 0
        self.seconds = 0.0
        self.network = build_network(settings).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = AveragedModel(self.network, multi_avg_fn=_ema(average_decay(settings, self.steps)))
        self.loss = build_loss(settings, data.parent).to(device)
        heads = [*self.network.coarse_head.parameters(), *self.network.fine_head.parameters()]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": self.network.backbone.parameters(), "peak": settings.backbone_lr},
                {"params": heads, "peak": settings.head_lr},
            ],
            weight_decay=settings.weight_decay,
        )
        self._epoch_terms: list[list[float]] = []
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))

    def resume(self, run: RunFolder) -> None:
        """Go on from the run's checkpoint, if it has one."""
        if run.checkpoint.exists():
            state = load_checkpoint(run.checkpoint)
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.seconds, self._epoch_terms = state["step"], state["seconds"], state["epoch_terms"]

    def state(self) -> dict[str, object]:
        """All that a resumed run needs."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "epoch_terms": self._epoch_terms,
        }

    def advance(self) -> LossTerms:
        """One step of the optimiser on the next batch."""
        start = time.monotonic()
        self.network.train()
        seed = self.settings.seed * 1_000_003 + self.step
        torch.manual_seed(seed)  # dropped connections
        images, labels = self._batch(torch.Generator().manual_seed(seed))
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * one_cycle(self.step / self.steps, self.settings.warmup)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            coarse, fine = self.network(images)
        terms: LossTerms = self.loss(coarse.float(), fine.float(), labels)
        self.optimiser.zero_grad(set_to_none=True)
        terms.total.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.average.update_parameters(self.network)
        self._epoch_terms.append([term.item() for term in (terms.fine, terms.coarse, terms.quantisation)])
        self.step += 1
        self.seconds += time.monotonic() - start
        return terms

    def epoch_record(self, validation: LabelledImages | None) -> dict[str, object]:
        """The figures of the epoch that has just ended."""
        fine, coarse, quantisation = np.mean(self._epoch_terms, axis=0)
        self._epoch_terms = []
        record: dict[str, object] = {
            "epoch": self.step // self.steps_per_epoch,
            "seconds": round(self.seconds, 1),
            "fine_loss": round(float(fine), 4),
            "coarse_loss": round(float(coarse), 4),
            "quantisation": round(float(quantisation), 4),
        }
        if validation is not None:
            accuracy = target_accuracy(self.averaged_network(), self.loss, validation, self.device)
            record["validation_accuracy"] = {level: round(share, 4) for level, share in accuracy.items()}
        return record

    @torch.no_grad()
    def averaged_network(self) -> HashNetwork:
        """The averaged weights with BatchNorm statistics taken anew from un-augmented training pictures."""
        network = self.average.module
        assert isinstance(network, HashNetwork)
        _reset_batchnorm(network)
        rows = np.random.default_rng(self.settings.seed).permutation(len(self.data))
        size = self.settings.batch_size
        for start in range(0, min(len(rows), CALIBRATION_BATCHES * size) - size + 1, size):
            network(to_pixels(self.data.images[rows[start : start + size]], self.device))
        return network.eval()

    def _batch(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        epoch, position = divmod(self.step, self.steps_per_epoch)
        if self._order[0] != epoch:
            rng = np.random.default_rng((self.settings.seed, epoch))
            self._order = (epoch, rng.permutation(len(self.data)))
        size = self.settings.batch_size
        rows = self._order[1][position * size : (position + 1) * size]
        pixels = to_pixels(self.data.images[rows], self.device)
        views = augment(pixels, generator, self.settings.crop_padding, self.settings.cutout)
        labels = torch.from_numpy(self.data.fine[rows]).to(self.device)
        return views.contiguous(memory_format=torch.channels_last), labels


def build_loss(settings: TrainSettings, parent: NDArray[np.int64]) -> HierarchicalHashLoss:
    """The loss of a run, with its targets."""
    fine = torch.from_numpy(fine_targets(parent, settings.fine_bits, settings.seed))
    coarse = torch.from_numpy(coarse_targets(int(parent.max()) + 1, settings.coarse_bits, settings.seed))
    return HierarchicalHashLoss(fine, coarse, torch.from_numpy(parent), settings)


def one_cycle(progress: float, warmup: float) -> float:
    """Share of the peak rate at a progress of 0..1: a linear climb, then a cosine to zero (Smith, 2018)."""
    if progress < warmup:
        return 0.04 + 0.96 * progress / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / max(1e-9, 1 - warmup)))


def average_decay(settings: TrainSettings, steps: int) -> float:
    """Per-step decay of the averaged weights: the average spans a tenth of the run at most.

    Otherwise the average of a short run would still hold its first, untrained weights.
    """
    return max(0.0, min(settings.ema_decay, 1 - 10 / steps))


def _ema(decay: float) -> Callable[..., None]:
    average: Callable[..., None] = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return average


def _choose(device: str) -> str:
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def _reset_batchnorm(network: nn.Module) -> None:
    """Let BatchNorm alone, and no dropped connection, see the coming batches as training."""
    network.eval()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.reset_running_stats()
            module.momentum = None  # a plain average over all batches seen since the reset
            module.train()


def _require_finite(terms: LossTerms, step: int) -> None:
    if not math.isfinite(terms.total.item()):
        raise TrainingError(f"the loss is {terms.total.item()} at step {step}; lower backbone_lr and head_lr")
