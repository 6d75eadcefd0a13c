"""The loss that drives h(x) to binary codes at both levels.

    L = CE(fine) + w * CE(coarse) + mu * (mean over bits of (u_f - b_f)^2 + the same of (u_c - b_c)^2)
        + v * S(free coarse bits) + a * KL(teacher || student)

CE is cross-entropy over s * (cos(u, target) - m for the true class), the classification loss of OrthoHash (Hoe et al.,
2021) with fixed targets; b = sign(u) is held fixed in the quantisation terms ||h(x) - b||^2. The last coarse bits may
be left free of a target: S drives each of them to halve every superclass, so that a superclass spreads over several
buckets (after the bi-half layer of Li and van Gemert, 2021). KL is distillation at both levels (Hinton et al., 2015).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hashgrain.export.batches import Labels
from hashgrain.export.hierarchy import Tree
from hashgrain.export.settings import TrainSettings
from hashgrain.export.targets import coarse_targets, tree_targets


@dataclass(frozen=True)
class LossTerms:
    """The terms of one batch, scalars; `total` is what is minimised."""

    total: Tensor
    fine: Tensor
    coarse: Tensor
    quantisation: Tensor
    free: Tensor
    teacher: Tensor

    def record(self) -> Tensor:
        """All of them in this order, float (6,), without their gradients, on their device."""
        return torch.stack([getattr(self, field.name).detach() for field in fields(self)])


class HierarchicalHashLoss(nn.Module):
    """Classification against fixed targets at both levels, plus the other terms.

    Args:
        fine_targets: float (classes, fine_bits) of -1 and +1.
        coarse_targets: float (superclasses, coarse_bits - free_bits) of -1 and +1.
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

    def forward(
        self, coarse_logits: Tensor, fine_logits: Tensor, labels: Labels, teacher: Tensor | None = None
    ) -> LossTerms:
        """The terms of a batch.

        Args:
            coarse_logits, fine_logits: float (B, coarse_bits) and (B, fine_bits).
            labels: the classes.
            teacher: float (B, classes), the class scores of a teacher on the same pictures.
        """
        s = self.settings
        bound = self.coarse_targets.shape[1]
        fine, coarse = self._classify(fine_logits, coarse_logits[:, :bound], labels)
        quantisation = quantisation_error(fine_logits) + quantisation_error(coarse_logits)
        total = fine + s.coarse_weight * coarse + s.quantisation_weight * quantisation
        free = distilled = torch.zeros_like(total)
        if bound < coarse_logits.shape[1]:
            free = halving_error(coarse_logits[:, bound:], self.parent[labels.first], len(self.coarse_targets))
            total = total + s.free_weight * free
        if teacher is not None:
            distilled = self._distil(fine_logits, coarse_logits[:, :bound], teacher)
            total = total + s.teacher_weight * distilled
        return LossTerms(total, fine, coarse, quantisation, free, distilled)

    def scores(self, fine_logits: Tensor) -> Tensor:
        """Class scores s * cos(u, target), float (B, classes), without a margin."""
        return self.settings.scale * cosines(fine_logits, self.fine_targets)

    def _classify(self, fine_logits: Tensor, coarse_logits: Tensor, labels: Labels) -> tuple[Tensor, Tensor]:
        s = self.settings
        sides: list[tuple[Tensor, float | Tensor]] = [(labels.first, labels.share)]
        if labels.second is not None:
            sides.append((labels.second, 1 - labels.share))
        levels = []
        for logits, targets, above in (
            (fine_logits, self.fine_targets, None),
            (coarse_logits, self.coarse_targets, self.parent),
        ):
            losses = [
                share * margin_cross_entropy(logits, targets, side if above is None else above[side], s.scale, s.margin)
                for side, share in sides
            ]
            levels.append(torch.stack(losses).sum())
        return levels[0], levels[1]

    def _distil(self, fine_logits: Tensor, coarse_logits: Tensor, teacher: Tensor) -> Tensor:
        """KL divergence at both levels at the set temperature; a superclass is as likely as its classes together."""
        s = self.settings
        temperature = s.teacher_temperature
        likely = functional.softmax(teacher / temperature, 1)
        above = likely.new_zeros(len(likely), len(self.coarse_targets)).index_add_(1, self.parent, likely)
        fine = functional.log_softmax(self.scores(fine_logits) / temperature, 1)
        coarse = functional.log_softmax(s.scale * cosines(coarse_logits, self.coarse_targets) / temperature, 1)
        return temperature**2 * (
            functional.kl_div(fine, likely, reduction="batchmean")
            + s.coarse_weight * functional.kl_div(coarse, above, reduction="batchmean")
        )


def build_loss(settings: TrainSettings, hierarchy: Tree | NDArray[np.int64]) -> HierarchicalHashLoss:
    """The loss of a run, with its targets.

    The fine targets carry every level. The coarse ones are far from one another, whatever stands above them: a short
    code has no bits to spare for it.

    Args:
        settings: of the run.
        hierarchy: above the classes; of two levels the superclass of each class, int64 (classes,), says it all.
    """
    tree = hierarchy if isinstance(hierarchy, Tree) else Tree.of_parents(hierarchy)
    parent = tree.parent
    fine = tree_targets(tree.levels, settings.fine_bits, settings.seed)
    coarse = coarse_targets(int(parent.max()) + 1, settings.coarse_bits - settings.free_bits, settings.seed)
    return HierarchicalHashLoss(torch.from_numpy(fine), torch.from_numpy(coarse), torch.from_numpy(parent), settings)


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


def halving_error(logits: Tensor, groups: Tensor, count: int) -> Tensor:
    """Mean over bits and pictures of (u - b)^2, b = +1 for the upper half of the picture's own group and -1 below.

    Each bit halves the groups that the bits before it have made, so that no bit repeats another: k bits make 2^k equal
    parts of every group. Of an odd number of pictures the middle one counts for neither half.

    Args:
        logits: float (B, bits).
        groups: int64 (B,), 0..count - 1.
        count: how many groups there are.

    Returns:
        A scalar.
    """
    errors = []
    for column in logits.unbind(1):
        halves = _halves(column.detach(), groups, count)
        errors.append(((column - halves).square() * halves.abs()).mean())
        groups, count = 2 * groups + (column.detach() > 0), 2 * count
    return torch.stack(errors).mean()


def _halves(values: Tensor, groups: Tensor, count: int) -> Tensor:
    """+1 for the upper half of each group's values, -1 for the lower, 0 for the middle one, float (B,)."""
    members = functional.one_hot(groups, count)
    sizes = members.sum(0)
    starts = sizes.cumsum(0) - sizes
    ascending = values.argsort()
    order = ascending[groups[ascending].argsort(stable=True)]  # by group, then by value
    place = torch.empty_like(order).scatter_(0, order, torch.arange(len(values), device=values.device))
    return torch.sign(2 * (place - starts[groups]) + 1 - sizes[groups]).to(values.dtype)
