"""MobileNetV2 (Sandler et al., CVPR 2018): inverted residual blocks of depthwise convolutions."""

from __future__ import annotations

from torch import Tensor, nn

from hashgrain.export.convolution import convolution

STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, channels, blocks, stride of the first: the paper's table 2."""


class InvertedResidual(nn.Module):
    """Widen, filter every channel by itself, narrow without an activation; a shortcut where the shape stays."""

    def __init__(self, channels: int, out: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = expansion * channels
        widen = [convolution(channels, wide, 1, activation=nn.ReLU6(inplace=True))] if expansion > 1 else []
        self.layers = nn.Sequential(
            *widen,
            convolution(wide, wide, 3, stride, groups=wide, activation=nn.ReLU6(inplace=True)),
            convolution(wide, out, 1),
        )
        self.residual = stride == 1 and channels == out

    def forward(self, maps: Tensor) -> Tensor:
        """Float (B, channels, S, S) → float (B, out, S / stride, S / stride)."""
        found: Tensor = self.layers(maps)
        return maps + found if self.residual else found


class MobileNetV2(nn.Module):
    """The convolutional part, pooled; 2.2 M parameters."""

    features = 1280

    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = [convolution(3, 32, 3, 2, activation=nn.ReLU6(inplace=True))]
        channels = 32
        for expansion, out, depth, stride in STAGES:
            for number in range(depth):
                blocks.append(InvertedResidual(channels, out, stride if number == 0 else 1, expansion))
                channels = out
        blocks.append(convolution(channels, self.features, 1, activation=nn.ReLU6(inplace=True)))
        self.blocks = nn.Sequential(*blocks)

    def forward(self, pixels: Tensor) -> Tensor:
        """Float (B, 3, S, S) → float (B, 1280)."""
        found: Tensor = self.blocks(pixels).mean((2, 3))
        return found
