"""`TrainSettings`: everything that decides what a training run computes."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any

from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import InvalidInput
from hashgrain.export.splits import require_known


def _setting(default: Any, meaning: str) -> Any:
    """A field with its meaning beside it, which the command line shows as help."""
    return field(default=default, metadata={"help": meaning})


_WEIGHTS = (
    "backbone_lr",
    "head_lr",
    "weight_decay",
    "scale",
    "coarse_weight",
    "quantisation_weight",
    "free_weight",
    "teacher_weight",
)


@dataclass(frozen=True)
class TrainSettings:
    """One run. On a CPU, equal settings, versions and number of threads compute the same network.

    A GPU adds in whatever order its kernels end: there, two runs agree in their figures, not in every bit.

    Raises:
        InvalidInput: a setting is out of its range.
    """

    data: str = _setting(
        MISSING,
        "Labelled pictures: a folder of Parquet files, a CIFAR python archive, a folder tree "
        "of classes, or cifar10 / cifar100 to download.",
    )
    hierarchy: str | None = _setting(
        None, 'A JSON file {"superclass": ["class", ...]}, or groups within groups; by default the data\'s own.'
    )
    coarse_level: int = _setting(
        0,
        "The hierarchy file's level that the coarse code stands for, 1 just below the root; 0 for the level of the "
        "classes' parents, which has the most groups.",
    )
    coarse_groups: int = _setting(
        0,
        "Of data with one level of labels: into so many groups the classes are put, by the features that training "
        "starts from, for the coarse code; 0 for a quarter of the classes, as many as classes for each its own.",
    )
    unlabelled: bool = _setting(
        False, "Look at no labels: codes are fitted to the published backbone's features by iterative quantisation."
    )
    protocol: str = _setting(
        "p2",
        "Which pictures are trained on: p2, the train split; p1, 500 of each class drawn from both splits, "
        "to be measured by `hashgrain evaluate --protocol p1`.",
    )
    protocol_seed: int = _setting(0, "Decides p1's draw.")
    backbone: str = _setting(
        "efficientnet_lite0",
        "efficientnet_lite0, _lite1, _lite2, mobilenet_v2, resnet18, resnet50, small_cnn, timm:NAME[@WEIGHTS] or "
        "package.module:callable; `hashgrain backbones` says what each costs.",
    )
    pretrained: bool = _setting(True, "Start from the backbone's published weights where it has any.")
    coarse_bits: int = _setting(16, "Length of the coarse code.")
    fine_bits: int = _setting(64, "Length of the fine code.")
    input_size: int = _setting(64, "Side of the square input in pixels.")
    epochs: int = _setting(12, "Passes over the training pictures.")
    batch_size: int = _setting(128, "Pictures of one step; the last incomplete batch of an epoch is left out.")
    seed: int = _setting(0, "Decides targets, first weights, order and augmentation.")
    backbone_lr: float = _setting(6e-4, "AdamW's rate for the backbone, at the top of one cycle.")
    head_lr: float = _setting(3e-3, "The same for the two heads.")
    weight_decay: float = _setting(0.02, "AdamW's weight decay.")
    warmup: float = _setting(0.2, "Share of the steps in which the rate climbs, before it falls along a cosine to 0.")
    scale: float = _setting(16.0, "s of the classification loss, s * (cos(u, target) - m for the true class).")
    margin: float = _setting(0.2, "m of the classification loss.")
    coarse_weight: float = _setting(0.5, "Weight of the coarse level's loss beside the fine level's.")
    quantisation_weight: float = _setting(0.05, "Weight of the mean over bits of (u - sign(u))^2, at both levels.")
    free_bits: int = _setting(0, "So many of the coarse bits, the last, have no target: they halve each superclass.")
    free_weight: float = _setting(0.1, "Weight of the free coarse bits' term.")
    teacher: str | None = _setting(None, "The folder of a finished run on the same classes, to be learned from.")
    teacher_weight: float = _setting(1.0, "Weight of the divergence from the teacher.")
    teacher_temperature: float = _setting(2.0, "Both sides' class scores are divided by it before they are compared.")
    ema_decay: float = _setting(
        0.998, "Per-step decay of the averaged weights, which are exported; less in a run of few steps."
    )
    crop_padding: float = _setting(0.125, "A random crop moves by up to this share of the side in each direction.")
    zoom: float = _setting(1.0, "Least share of the picture that a zoomed view shows; 1 for shifts instead of zoom.")
    colour: float = _setting(0.0, "Brightness, contrast and saturation change by up to this share.")
    cutout: float = _setting(0.0, "Side of the erased square as a share of the input's; 0 for none.")
    cutmix: float = _setting(0.0, "Probability that a batch's pictures are pasted into one another.")
    mixup: float = _setting(0.0, "Probability that a batch's pictures are blended in pairs.")
    mix_until: float = _setting(0.8, "Share of the run after which no pictures are mixed.")
    validation: float = _setting(0.0, "Share of each class's training pictures held out and measured every epoch.")
    vector_width: int = 0
    """Width of the vectors where the data are vectors and no pictures; found out, not chosen."""

    def __post_init__(self) -> None:
        _ = self.layout  # its own check of the lengths
        require_known(self.protocol)
        if self.protocol == "p2" and self.protocol_seed != 0:
            raise InvalidInput(f"protocol p2 draws nothing, got protocol_seed {self.protocol_seed}; leave it at 0")
        for name, low, high in (
            ("input_size", 16, 1024),
            ("epochs", 1, 10_000),
            ("batch_size", 2, 65_536),
            ("warmup", 0.0, 1.0),
            ("margin", 0.0, 1.0),
            ("ema_decay", 0.0, 0.99999),
            ("crop_padding", 0.0, 0.5),
            ("zoom", 0.05, 1.0),
            ("colour", 0.0, 1.0),
            ("cutout", 0.0, 1.0),
            ("cutmix", 0.0, 1.0),
            ("mixup", 0.0, 1.0 - self.cutmix),
            ("mix_until", 0.0, 1.0),
            ("free_bits", 0, self.coarse_bits - 4),
            ("coarse_level", 0, 100),
            ("coarse_groups", 0, 1_000_000),
            ("teacher_temperature", 0.1, 100.0),
            ("validation", 0.0, 0.5),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise InvalidInput(f"{name} must lie between {low} and {high}, got {value}")
        for name in _WEIGHTS:
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
