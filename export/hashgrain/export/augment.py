"""Random views of a batch, drawn from a generator of their own so that a resumed run sees the same ones."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def augment(images: Tensor, generator: torch.Generator, crop_padding: float, cutout: float) -> Tensor:
    """Flip, shift and erase.

    Args:
        images: uint8 or float (B, 3, S, S).
        generator: a CPU generator.
        crop_padding: shift by up to this share of S in each direction, reflecting at the border.
        cutout: side of the erased square as a share of S (DeVries and Taylor, 2017); 0 for none.

    Returns:
        float32 (B, 3, S, S).
    """
    count, _, size, _ = images.shape
    images = images.float()
    flips = torch.rand(count, generator=generator) < 0.5
    images = torch.where(flips.to(images.device)[:, None, None, None], images.flip(3), images)
    reach = round(crop_padding * size)
    if reach:
        images = _shift(images, torch.randint(0, 2 * reach + 1, (2, count), generator=generator), reach)
    side = round(cutout * size)
    if side:
        images = _erase(images, torch.randint(0, size, (2, count), generator=generator), side)
    return images


def _shift(images: Tensor, offsets: Tensor, reach: int) -> Tensor:
    size = images.shape[2]
    padded = functional.pad(images, (reach,) * 4, mode="reflect")
    steps = torch.arange(size)
    rows = (offsets[0][:, None] + steps).to(images.device)
    columns = (offsets[1][:, None] + steps).to(images.device)
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _erase(images: Tensor, centres: Tensor, side: int) -> Tensor:
    steps = torch.arange(images.shape[2])
    rows = (steps - centres[0][:, None]).abs() <= side // 2
    columns = (steps - centres[1][:, None]).abs() <= side // 2
    erased = (rows[:, :, None] & columns[:, None, :])[:, None].to(images.device)
    means = images.mean((2, 3), keepdim=True)
    return torch.where(erased, means, images)
