"""`Batches`: what a step of training sees, decided by the settings and the step's number alone."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hashgrain.codes.errors import TrainingError
from hashgrain.export.augment import augment
from hashgrain.export.dataset import LabelledImages
from hashgrain.export.settings import TrainSettings


@dataclass(frozen=True)
class Labels:
    """The classes of a batch, each picture a mixture of two.

    Attributes:
        first: int64 (B,).
        second: int64 (B,), or None where no picture is mixed.
        share: of the first class in the mixture, 0..1; a scalar tensor where the step is replayed from a recording.
    """

    first: Tensor
    second: Tensor | None = None
    share: float | Tensor = 1.0


class Batches:
    """The training pictures in random order, on the device that trains.

    All of them stay there as uint8: 50,000 pictures of 64 pixels are 600 MB, and no step waits for a copy.

    Args:
        settings: of the run.
        data: the training pictures.
        device: where they go.

    Raises:
        TrainingError: they do not fill one batch.
    """

    def __init__(self, settings: TrainSettings, data: LabelledImages, device: torch.device) -> None:
        self.per_epoch = len(data) // settings.batch_size
        if self.per_epoch == 0:
            raise TrainingError(
                f"{len(data)} training pictures do not fill one batch of {settings.batch_size}; lower batch_size"
            )
        self.steps = settings.epochs * self.per_epoch
        self._settings, self._device = settings, device
        self._pixels = torch.from_numpy(data.images).to(device)
        self._labels = torch.from_numpy(data.fine).to(device)
        self._epoch = -1
        self._order = self._labels

    def views(self, step: int) -> tuple[Tensor, Labels]:
        """Augmented pictures of a step, float32 (B, 3, S, S) in 0..255, channels last in memory, and their classes."""
        seed = self._settings.seed * 1_000_003 + step
        pixels, labels = self._rows(self._rows_of(step))
        views = augment(pixels, torch.Generator(self._device).manual_seed(seed), self._settings)
        views, mixed = mix(views, labels, random.Random(seed), self._settings, step / self.steps)
        return views.contiguous(memory_format=torch.channels_last), mixed

    def plain(self, count: int) -> list[Tensor]:
        """Up to `count` batches of un-augmented pictures, float32 (B, 3, S, S), the same ones every time."""
        order = torch.from_numpy(np.random.default_rng(self._settings.seed).permutation(len(self._labels)))
        size = self._settings.batch_size
        starts = range(0, min(len(order), count * size) - size + 1, size)
        return [self._rows(order[start : start + size].to(self._device))[0].float() for start in starts]

    def _rows(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        return self._pixels[rows].permute(0, 3, 1, 2), self._labels[rows]

    def _rows_of(self, step: int) -> Tensor:
        epoch, position = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            order = np.random.default_rng((self._settings.seed, epoch)).permutation(len(self._labels))
            self._epoch, self._order = epoch, torch.from_numpy(order).to(self._device)
        size = self._settings.batch_size
        return self._order[position * size : (position + 1) * size]


def mix(
    images: Tensor, labels: Tensor, rng: random.Random, settings: TrainSettings, progress: float
) -> tuple[Tensor, Labels]:
    """Mix each picture with its successor in the batch: CutMix (Yun et al., 2019) or mixup (Zhang et al., 2018).

    Which of them, if any, is drawn once a batch with the probabilities `cutmix` and `mixup`. After `mix_until` of the
    run nothing is mixed, so that the codes of whole pictures settle.

    Args:
        images: float (B, 3, S, S).
        labels: int64 (B,).
        rng: decides kind, place and share.
        settings: of the run.
        progress: of the run, 0..1.
    """
    drawn = rng.random()
    if progress >= settings.mix_until or drawn >= settings.cutmix + settings.mixup:
        return images, Labels(labels)
    others, second = images.roll(1, 0), labels.roll(1)
    if drawn >= settings.cutmix:
        share = rng.betavariate(0.8, 0.8)
        return torch.lerp(others, images, share), Labels(labels, second, share)
    size = images.shape[2]
    side = (1 - rng.random()) ** 0.5 * size
    top, left = rng.random() * size, rng.random() * size
    rows = slice(max(0, round(top - side / 2)), min(size, round(top + side / 2)))
    columns = slice(max(0, round(left - side / 2)), min(size, round(left + side / 2)))
    images = images.clone()
    images[:, :, rows, columns] = others[:, :, rows, columns]
    covered = (rows.stop - rows.start) * (columns.stop - columns.start) / size**2
    return images, Labels(labels, second, 1 - covered)
