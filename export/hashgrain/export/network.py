"""The hashing network: a backbone with two linear heads, one per granularity."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hashgrain.codes import CodeLayout
from hashgrain.export.backbones import Backbone, build_backbone
from hashgrain.export.settings import TrainSettings
from hashgrain.export.vectors import vector_backbone


class HashNetwork(nn.Module):
    """h(x): pictures → coarse and fine logits, whose signs are the codes.

    Each head is a linear map without bias, then BatchNorm without scale and shift: a bit's logits have mean 0 and
    variance 1 over the training data, so every bit starts balanced.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: Backbone, layout: CodeLayout) -> None:
        super().__init__()
        self.backbone = backbone.module
        self.coarse_head = _head(backbone.features, layout.coarse_bits)
        self.fine_head = _head(backbone.features, layout.fine_bits)
        self.pictures = backbone.pictures
        self.register_buffer("mean", 255 * torch.tensor(backbone.mean).reshape(1, 3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(backbone.std).reshape(1, 3, 1, 1))

    @classmethod
    def around(cls, trained: HashNetwork, layout: CodeLayout) -> HashNetwork:
        """New heads on another network's backbone, which both then share."""
        mean, std = (tuple((values / 255).flatten().tolist()) for values in (trained.mean, trained.std))
        linear = trained.fine_head[0]
        assert isinstance(linear, nn.Linear)
        backbone = Backbone(trained.backbone, linear.in_features, mean=mean, std=std, pictures=trained.pictures)
        network = cls(backbone, layout)
        network.mean, network.std = trained.mean, trained.std  # to the last bit
        return network

    def features(self, pixels: Tensor) -> Tensor:
        """Float (B, 3, S, S), RGB in 0..255, or float vectors (B, D) → what both heads are fed, float (B, D)."""
        found: Tensor = self.backbone((pixels - self.mean) / self.std if self.pictures else pixels)
        return found

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Float (B, 3, S, S), RGB in 0..255, or vectors (B, D) → float logits (B, coarse_bits) and (B, fine_bits)."""
        features = self.features(pixels)
        return self.coarse_head(features), self.fine_head(features)


def build_network(settings: TrainSettings) -> HashNetwork:
    """The network of a run, with its first weights (drawn from torch's global generator)."""
    if settings.vector_width:
        return HashNetwork(vector_backbone(settings.vector_width), settings.layout)
    return HashNetwork(build_backbone(settings.backbone, settings.pretrained), settings.layout)


def _head(features: int, bits: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(features, bits, bias=False), nn.BatchNorm1d(bits, affine=False))
