"""The unit that the networks here are built of: convolution, BatchNorm, activation."""

from __future__ import annotations

from torch import nn


def convolution(
    channels: int, out: int, kernel: int = 3, stride: int = 1, groups: int = 1, activation: nn.Module | None = None
) -> nn.Sequential:
    """Padded so that a stride of 1 keeps the side; no activation where None is given."""
    layers: list[nn.Module] = [
        nn.Conv2d(channels, out, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out),
    ]
    return nn.Sequential(*layers, *([activation] if activation is not None else []))
