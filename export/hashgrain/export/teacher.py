"""A trained network that another learns from."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from hashgrain.codes.errors import TrainingError
from hashgrain.export.dataset import LabelledImages
from hashgrain.export.losses import build_loss
from hashgrain.export.run_folder import RunFolder


class Teacher:
    """The network of a finished run, asked for class scores.

    Args:
        run: the finished run.
        data: the student's pictures.
        device: where it works; on a GPU in bfloat16.

    Raises:
        TrainingError: the run has not ended, or has learned other classes.
    """

    def __init__(self, run: Path, data: LabelledImages, device: torch.device) -> None:
        folder = RunFolder.open(run)
        network, names, _ = folder.load_network()
        if names != data.fine_names:
            raise TrainingError(
                f"the teacher {run} knows {len(names)} classes, {data.source} has {len(data.fine_names)}; "
                "a teacher must have learned the same classes in the same order"
            )
        settings = folder.settings()
        self._size, self._device = settings.input_size, device
        self._network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._loss = build_loss(settings, data.hierarchy).to(device)

    @torch.no_grad()
    def scores(self, views: Tensor) -> Tensor:
        """Float pictures (B, 3, S, S) in 0..255, resized to what the teacher takes → class scores (B, classes)."""
        if views.shape[2] != self._size:
            views = functional.interpolate(views, size=self._size, mode="bilinear")
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda"):
            _, fine = self._network(views)
        return self._loss.scores(fine.float())
