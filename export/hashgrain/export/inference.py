"""The network in PyTorch without training: logits of pictures, and what its nearest targets say."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hashgrain.export.dataset import LabelledImages
from hashgrain.export.losses import HierarchicalHashLoss, cosines
from hashgrain.export.network import HashNetwork


def choose_device(name: str) -> torch.device:
    """``auto`` is a GPU where there is one, else the CPU; other names are torch's."""
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


@torch.no_grad()
def network_logits(
    network: HashNetwork, images: NDArray[Any], device: torch.device, batch: int = 256
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Coarse and fine logits, float32 (N, bits), of pictures or vectors, in evaluation mode."""
    network.eval()
    parts = [network(to_input(images[n : n + batch], device)) for n in range(0, len(images), batch)]
    coarse, fine = (torch.cat(level).float().cpu().numpy() for level in zip(*parts, strict=True))
    return coarse, fine


def target_accuracy(
    network: HashNetwork, loss: HierarchicalHashLoss, data: LabelledImages, device: torch.device
) -> dict[str, float]:
    """Share of pictures whose nearest target, by cosine, is that of their class and of their superclass."""
    coarse, fine = (torch.from_numpy(logits) for logits in network_logits(network, data.images, device))
    fine_guess = cosines(fine, loss.fine_targets.cpu()).argmax(1).numpy()
    bound = loss.coarse_targets.shape[1]  # the bits beyond have no target
    coarse_guess = cosines(coarse[:, :bound], loss.coarse_targets.cpu()).argmax(1).numpy()
    return {"fine": float(np.mean(fine_guess == data.fine)), "coarse": float(np.mean(coarse_guess == data.coarse))}


def to_input(images: NDArray[Any], device: torch.device) -> Tensor:
    """uint8 pictures (N, S, S, 3) → float32 (N, 3, S, S) on the device, channels last in memory; vectors stay."""
    if images.ndim == 2:
        return torch.from_numpy(images).to(device)
    return torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float()
