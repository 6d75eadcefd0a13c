"""Random views of a batch, drawn from a generator of their own so that a resumed run sees the same ones.

Everything happens where the pictures are: on a GPU no step waits for the host.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from hashgrain.export.settings import TrainSettings

ASPECT = (3 / 4, 4 / 3)
"""Range of a zoomed view's width over its height."""

GREY = (0.299, 0.587, 0.114)


def augment(images: Tensor, generator: torch.Generator, settings: TrainSettings) -> Tensor:
    """Flip, zoom or shift, change colours, and erase, as far as the settings ask for it.

    Args:
        images: uint8 or float (B, 3, S, S), 0..255.
        generator: on the pictures' device.
        settings: `crop_padding`, `zoom`, `colour` and `cutout`.

    Returns:
        float32 (B, 3, S, S).
    """
    count, _, size, _ = images.shape
    images = images.float()
    if settings.zoom < 1:
        images = _zoom(images, generator, settings.zoom)
    else:
        flips = _uniform(count, generator) < 0.5
        images = torch.where(flips[:, None, None, None], images.flip(3), images)
        reach = round(settings.crop_padding * size)
        if reach:
            images = _shift(images, _integers(0, 2 * reach + 1, (2, count), generator), reach)
    if settings.colour:
        images = _colour(images, generator, settings.colour)
    side = round(settings.cutout * size)
    if side:
        images = _erase(images, _integers(0, size, (2, count), generator), side)
    return images


def _zoom(images: Tensor, generator: torch.Generator, least: float) -> Tensor:
    """Crops of `least` to all of the area, flipped or not, resized to the input (Szegedy et al., 2015)."""
    count = len(images)
    area = least + (1 - least) * _uniform(count, generator)
    low, high = (torch.tensor(value).log().item() for value in ASPECT)
    aspect = (low + (high - low) * _uniform(count, generator)).exp()
    width, height = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    flips = torch.where(_uniform(count, generator) < 0.5, -1.0, 1.0)
    across, down = (2 * _uniform(count, generator) - 1 for _ in range(2))
    zero = torch.zeros_like(width)
    first = torch.stack([flips * width, zero, across * (1 - width)], 1)
    second = torch.stack([zero, height, down * (1 - height)], 1)
    grid = functional.affine_grid(torch.stack([first, second], 1), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _shift(images: Tensor, offsets: Tensor, reach: int) -> Tensor:
    size = images.shape[2]
    padded = functional.pad(images, (reach,) * 4, mode="reflect")
    steps = torch.arange(size, device=images.device)
    rows = offsets[0][:, None] + steps
    columns = offsets[1][:, None] + steps
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _colour(images: Tensor, generator: torch.Generator, strength: float) -> Tensor:
    """Brightness, contrast and saturation, each by a factor of 1 - strength to 1 + strength."""
    brightness, contrast, saturation = (
        1 + strength * (2 * _uniform(len(images), generator)[:, None, None, None] - 1) for _ in range(3)
    )
    images = images * brightness
    grey = (images * torch.tensor(GREY, device=images.device)[:, None, None]).sum(1, keepdim=True)
    images = grey + (images - grey) * saturation
    mean = grey.mean((2, 3), keepdim=True)
    return (mean + (images - mean) * contrast).clamp(0, 255)


def _erase(images: Tensor, centres: Tensor, side: int) -> Tensor:
    """A square of the picture's mean colour (DeVries and Taylor, 2017)."""
    steps = torch.arange(images.shape[2], device=images.device)
    rows = (steps - centres[0][:, None]).abs() <= side // 2
    columns = (steps - centres[1][:, None]).abs() <= side // 2
    erased = (rows[:, :, None] & columns[:, None, :])[:, None]
    means = images.mean((2, 3), keepdim=True)
    return torch.where(erased, means, images)


def _uniform(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator, device=generator.device)


def _integers(low: int, high: int, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    return torch.randint(low, high, shape, generator=generator, device=generator.device)
