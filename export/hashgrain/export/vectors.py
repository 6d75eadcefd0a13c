"""Vectors in place of pictures: what another network (CLIP, DINO, ...) has made of them is what the heads are fed."""

from __future__ import annotations

import dataclasses

from torch import Tensor, nn
from torch.nn import functional

from hashgrain.codes.errors import InvalidInput
from hashgrain.export.backbones import Backbone
from hashgrain.export.dataset import LabelledImages
from hashgrain.export.settings import TrainSettings

SETTINGS = frozenset(
    {
        "data",
        "hierarchy",
        "coarse_level",
        "coarse_groups",
        "unlabelled",
        "protocol",
        "protocol_seed",
        "coarse_bits",
        "fine_bits",
        "epochs",
        "seed",
        "scale",
        "margin",
        "coarse_weight",
        "quantisation_weight",
        "free_bits",
        "free_weight",
        "validation",
        "vector_width",
    }
)
"""Settings that mean something where the data are vectors; the others are for pictures and their networks."""


class UnitLength(nn.Module):
    """Vectors brought to one length, so that the codes know angles alone, as cosine similarity does.

    That length is sqrt(D): then a component is about 1, whatever the width.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, vectors: Tensor) -> Tensor:
        """Float (B, D) → float (B, D); a vector of zeros stays."""
        unit: Tensor = functional.normalize(vectors, dim=1) * float(self.width**0.5)
        return unit


def vector_backbone(width: int) -> Backbone:
    """The backbone of a network that takes vectors: it has nothing to learn."""
    return Backbone(UnitLength(width), width, pictures=False)


def for_vectors(settings: TrainSettings, data: LabelledImages) -> TrainSettings:
    """The settings of a run on vectors, with their width.

    Raises:
        InvalidInput: a setting was chosen that is for pictures alone.
    """
    for field in dataclasses.fields(TrainSettings):
        if field.name not in SETTINGS and getattr(settings, field.name) != field.default:
            raise InvalidInput(
                f"{data.source} holds vectors, for which {field.name} {getattr(settings, field.name)!r} means nothing; "
                "leave it out"
            )
    return dataclasses.replace(settings, vector_width=data.images.shape[1])
