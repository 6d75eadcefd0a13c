"""The loss that drives h(x) to binary codes at both levels.

    L = CE(fine) + w * CE(coarse) + mu * (mean over bits of (u_f - b_f)^2 + the same of (u_c - b_c)^2)

CE is cross-entropy over s * (cos(u, target) - m for the true class), the classification loss of OrthoHash (Hoe et al.,
2021) with fixed targets; b = sign(u) is held fixed in the quantisation terms ||h(x) - b||^2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from hashgrain.export.settings import TrainSettings


@dataclass(frozen=True)
class LossTerms:
    """The terms of one batch, scalars; `total` is what is minimised."""

    total: Tensor
    fine: Tensor
    coarse: Tensor
    quantisation: Tensor


class HierarchicalHashLoss(nn.Module):
    """Classification against fixed targets at both levels, plus quantisation.

    Args:
        fine_targets: float (classes, fine_bits) of -1 and +1.
        coarse_targets: float (superclasses, coarse_bits) of -1 and +1.
        parent: int64 (classes,), the superclass of each class.
        settings: scale, margin and the weights of the terms.
    """

    fine_targets: Tensor
    coarse_targets: Tensor
    parent: Tensor

    def __init__(self, fine_targets: Tensor, coarse_targets: Tensor, parent: Tensor, settings: TrainSettings) -> None:
        super().__init__()
        self.register_buffer("fine_targets", fine_targets)
        self.register_buffer("coarse_targets", coarse_targets)
        self.register_buffer("parent", parent)
        self.settings = settings

    def forward(self, coarse_logits: Tensor, fine_logits: Tensor, labels: Tensor) -> LossTerms:
        """Float logits (B, coarse_bits) and (B, fine_bits), int64 class labels (B,) → the terms."""
        s = self.settings
        fine = margin_cross_entropy(fine_logits, self.fine_targets, labels, s.scale, s.margin)
        coarse = margin_cross_entropy(coarse_logits, self.coarse_targets, self.parent[labels], s.scale, s.margin)
        quantisation = quantisation_error(fine_logits) + quantisation_error(coarse_logits)
        total = fine + s.coarse_weight * coarse + s.quantisation_weight * quantisation
        return LossTerms(total, fine, coarse, quantisation)


def cosines(logits: Tensor, targets: Tensor) -> Tensor:
    """Cosine of every row of logits, float (B, bits), with every target, float (T, bits) → float (B, T)."""
    similarity: Tensor = functional.normalize(logits, dim=1) @ targets.T / targets.shape[1] ** 0.5
    return similarity


def margin_cross_entropy(logits: Tensor, targets: Tensor, labels: Tensor, scale: float, margin: float) -> Tensor:
    """Mean cross-entropy over scale * (cos - margin for the true target), a scalar."""
    similarity = cosines(logits, targets)
    true = functional.one_hot(labels, len(targets)).to(similarity.dtype)
    return functional.cross_entropy(scale * (similarity - margin * true), labels)


def quantisation_error(logits: Tensor) -> Tensor:
    """Mean over bits and pictures of (u - b)^2 with b = sign(u), taken as -1 at 0 and held fixed; a scalar."""
    codes = torch.where(logits.detach() > 0, 1.0, -1.0)
    return (logits - codes).square().mean()
