"""`TrainSettings`: everything that decides what a training run computes."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import InvalidInput


@dataclass(frozen=True)
class TrainSettings:
    """One run. Two runs with equal settings, versions and machine compute the same network.

    Attributes:
        data: where the labelled pictures are; see `readers.load`.
        hierarchy: a JSON file {superclass: [class, ...]}, or None to take the hierarchy that the data carry.
        backbone: a name in `backbones.BACKBONES`, or package.module:callable.
        pretrained: start from the backbone's published weights where it has any.
        coarse_bits, fine_bits: the code lengths.
        input_size: side of the square input in pixels.
        epochs, batch_size, seed: the last incomplete batch of an epoch is left out.
        backbone_lr, head_lr, weight_decay: AdamW, at the top of one cycle.
        warmup: share of the steps in which the rate climbs, before it falls along a cosine to zero.
        scale, margin: s and m of the classification loss, s * (cos(u, target) - m) for the true class.
        coarse_weight: weight of the coarse level's loss beside the fine level's.
        quantisation_weight: weight of the mean over bits of (u - sign(u))^2, at both levels.
        ema_decay: per-step decay of the averaged weights, which are the ones exported.
        crop_padding: a random crop moves by up to this share of the side in each direction.
        cutout: side of the erased square as a share of the input's, 0 for none.
        validation: share of the training pictures of each class held out, 0 for none; measured after every epoch.
    """

    data: str
    hierarchy: str | None = None
    backbone: str = "efficientnet_lite0"
    pretrained: bool = True
    coarse_bits: int = 16
    fine_bits: int = 64
    input_size: int = 64
    epochs: int = 12
    batch_size: int = 128
    seed: int = 0
    backbone_lr: float = 6e-4
    head_lr: float = 3e-3
    weight_decay: float = 0.02
    warmup: float = 0.2
    scale: float = 16.0
    margin: float = 0.2
    coarse_weight: float = 0.5
    quantisation_weight: float = 0.05
    ema_decay: float = 0.998
    crop_padding: float = 0.125
    cutout: float = 0.0
    validation: float = 0.0

    def __post_init__(self) -> None:
        _ = self.layout  # its own check of the lengths
        for name, low, high in (
            ("input_size", 16, 1024),
            ("epochs", 1, 10_000),
            ("batch_size", 2, 65_536),
            ("warmup", 0.0, 1.0),
            ("margin", 0.0, 1.0),
            ("ema_decay", 0.0, 0.99999),
            ("crop_padding", 0.0, 0.5),
            ("cutout", 0.0, 1.0),
            ("validation", 0.0, 0.5),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise InvalidInput(f"{name} must lie between {low} and {high}, got {value}")
        for name in ("backbone_lr", "head_lr", "weight_decay", "scale", "coarse_weight", "quantisation_weight"):
            if getattr(self, name) < 0:
                raise InvalidInput(f"{name} must not be negative, got {getattr(self, name)}")

    @property
    def layout(self) -> CodeLayout:
        """The code lengths."""
        return CodeLayout(self.coarse_bits, self.fine_bits)

    def write(self, path: Path) -> None:
        """Write the settings as JSON."""
        path.write_text(json.dumps(dataclasses.asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, path: Path) -> TrainSettings:
        """Read settings from a JSON file.

        Raises:
            InvalidInput: the file cannot be read, or holds a setting that this code does not know.
        """
        try:
            values = json.loads(path.read_text())
        except (OSError, ValueError) as exc:
            raise InvalidInput(f"cannot read training settings from {path}: {exc}") from exc
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise InvalidInput(f"{path} holds unknown settings {unknown}; known are {sorted(known)}")
        if "data" not in values:
            raise InvalidInput(f"{path} names no data; add a setting data, the folder of labelled pictures")
        return cls(**values)
