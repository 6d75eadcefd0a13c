"""ResNets for small pictures (He et al., 2016): a stem of one 3 x 3 convolution, and no pooling before the end."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hashgrain.export.convolution import convolution


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions around a shortcut."""

    expansion = 1

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = convolution(channels, width, 3, stride, activation=nn.ReLU(inplace=True))
        self.second = convolution(width, width)
        self.shortcut = _shortcut(channels, width, stride)

    def forward(self, maps: Tensor) -> Tensor:
        """Float (B, channels, S, S) → float (B, width, S / stride, S / stride)."""
        return torch.relu(self.second(self.first(maps)) + self.shortcut(maps))


class Bottleneck(nn.Module):
    """A 3 x 3 convolution between two of 1 x 1, which narrow and widen, around a shortcut."""

    expansion = 4

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        out = self.expansion * width
        self.narrow = convolution(channels, width, 1, activation=nn.ReLU(inplace=True))
        self.middle = convolution(width, width, 3, stride, activation=nn.ReLU(inplace=True))
        self.widen = convolution(width, out, 1)
        self.shortcut = _shortcut(channels, out, stride)

    def forward(self, maps: Tensor) -> Tensor:
        """Float (B, channels, S, S) → float (B, 4 * width, S / stride, S / stride)."""
        return torch.relu(self.widen(self.middle(self.narrow(maps))) + self.shortcut(maps))


class ResNet(nn.Module):
    """Four stages of blocks; the first keeps the picture's resolution.

    Args:
        block: the kind of block.
        depths: how many of them in each stage.
        width: of the first stage; each next one doubles it.
    """

    def __init__(
        self, block: type[ResidualBlock] | type[Bottleneck], depths: tuple[int, int, int, int], width: int = 64
    ) -> None:
        super().__init__()
        blocks: list[nn.Module] = [convolution(3, width, activation=nn.ReLU(inplace=True))]
        channels = width
        for stage, depth in enumerate(depths):
            for number in range(depth):
                blocks.append(block(channels, width << stage, 2 if stage > 0 and number == 0 else 1))
                channels = block.expansion * (width << stage)
        self.blocks = nn.Sequential(*blocks)
        self.features = channels

    def forward(self, pixels: Tensor) -> Tensor:
        """Float (B, 3, S, S) → float (B, features)."""
        found: Tensor = self.blocks(pixels).mean((2, 3))
        return found


def _shortcut(channels: int, out: int, stride: int) -> nn.Module:
    return nn.Identity() if stride == 1 and channels == out else convolution(channels, out, 1, stride)
