"""`Trainer`: the moving parts of a training run."""

from __future__ import annotations

import math
import time
from dataclasses import fields
from pathlib import Path

import torch
from torch import Tensor, nn

from hashgrain.export.averaging import WeightAverage
from hashgrain.export.batches import Batches, Labels
from hashgrain.export.captured import CapturedStep
from hashgrain.export.checkpoint import load_checkpoint
from hashgrain.export.dataset import LabelledImages
from hashgrain.export.inference import target_accuracy
from hashgrain.export.losses import LossTerms, build_loss
from hashgrain.export.network import HashNetwork, build_network
from hashgrain.export.run_folder import RunFolder
from hashgrain.export.settings import TrainSettings
from hashgrain.export.teacher import Teacher

CALIBRATION_BATCHES = 80


class Trainer:
    """Network, averaged copy, optimiser, and the number of the next step.

    Args:
        settings: of the run.
        data: the training pictures.
        device: a CPU computes in float32, a GPU in bfloat16; both in the channels-last layout.

    Raises:
        TrainingError: the pictures do not fill one batch, or the teacher does not fit.
    """

    def __init__(self, settings: TrainSettings, data: LabelledImages, device: torch.device) -> None:
        self.settings, self.data, self.device = settings, data, device
        self._batches = Batches(settings, data, device)
        self.steps_per_epoch, self.steps = self._batches.per_epoch, self._batches.steps
        self.step = 0
        self.seconds = 0.0
        self.network = build_network(settings).to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.average = WeightAverage(self.network, average_decay(settings, self.steps))
        self.loss = build_loss(settings, data.hierarchy).to(device)
        heads = [*self.network.coarse_head.parameters(), *self.network.fine_head.parameters()]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": self.network.backbone.parameters(), "peak": settings.backbone_lr},
                {"params": heads, "peak": settings.head_lr},
            ],
            weight_decay=settings.weight_decay,
            fused=device.type == "cuda",
            capturable=device.type == "cuda",
        )
        self._teacher = Teacher(Path(settings.teacher), data, device) if settings.teacher else None
        self._compute = CapturedStep(self._one_step) if device.type == "cuda" else self._one_step
        self._rates = [torch.zeros((), device=device) for _ in self.optimiser.param_groups]
        self._epoch_terms: list[Tensor] = []

    def resume(self, run: RunFolder) -> None:
        """Go on from the run's checkpoint, if it has one."""
        if run.checkpoint.exists():
            state = load_checkpoint(run.checkpoint)
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.seconds = state["step"], state["seconds"]
            self._epoch_terms = [terms.to(self.device) for terms in state["epoch_terms"]]

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
        """One step of the optimiser on the next batch; on a GPU it is queued, and nothing waits for it."""
        start = time.monotonic()
        torch.manual_seed(self.settings.seed * 1_000_003 + self.step)  # dropped connections
        views, labels = self._batches.views(self.step)
        for group, rate in zip(self.optimiser.param_groups, self._rates, strict=True):
            rate.fill_(group["peak"] * one_cycle(self.step / self.steps, self.settings.warmup))
            group["lr"] = rate  # a tensor: a recorded step reads it anew
        record = self._compute(views, labels)
        self._epoch_terms.append(record)
        self.step += 1
        self.seconds += time.monotonic() - start
        return LossTerms(*record)

    def _one_step(self, views: Tensor, labels: Labels) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            coarse, fine = self.network(views)
        taught = self._teacher.scores(views) if self._teacher else None
        terms: LossTerms = self.loss(coarse.float(), fine.float(), labels, taught)
        self.optimiser.zero_grad(set_to_none=True)
        terms.total.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.average.update()
        return terms.record()

    def epoch_record(self, validation: LabelledImages | None) -> dict[str, object]:
        """The figures of the epoch that has just ended."""
        start = time.monotonic()
        means = torch.stack(self._epoch_terms).mean(0).tolist()  # waits until a GPU has done what was queued
        self.seconds += time.monotonic() - start
        self._epoch_terms = []
        record: dict[str, object] = {"epoch": self.step // self.steps_per_epoch, "seconds": round(self.seconds, 1)}
        for field, mean in zip(fields(LossTerms), means, strict=True):
            record[field.name if field.name == "quantisation" else f"{field.name}_loss"] = round(mean, 4)
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
        for pixels in self._batches.plain(CALIBRATION_BATCHES):
            network(pixels)
        return network.eval()


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


def _reset_batchnorm(network: nn.Module) -> None:
    """Let BatchNorm alone, and no dropped connection, see the coming batches as training."""
    network.eval()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.reset_running_stats()
            module.momentum = None  # a plain average over all batches seen since the reset
            module.train()
