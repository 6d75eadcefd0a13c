"""Published ways to learn one hash code, as losses on a head's logits: `METHODS`.

Each follows its paper's settings, so that a comparison compares the methods and not the care spent on one of them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hashgrain.export.losses import cosines, margin_cross_entropy, quantisation_error
from hashgrain.export.targets import coarse_targets, fine_targets


@dataclass(frozen=True)
class Problem:
    """What a method learns for.

    Attributes:
        classes: how many there are.
        bits: length of the code.
        seed: decides targets and first weights.
    """

    classes: int
    bits: int
    seed: int


class Method(nn.Module):
    """A loss on logits u, float (B, bits), whose signs are the code; it may hold weights of its own.

    Attributes:
        normalised: whether the head ends in BatchNorm, so that every bit starts balanced.
    """

    normalised = False

    @abstractmethod
    def forward(self, logits: Tensor, labels: Tensor, progress: float) -> Tensor:
        """The loss of a batch, a scalar; labels are int64 (B,), progress runs from 0 to 1 over the training."""


class Targeted(Method):
    """A method that draws each class to a code of its own, fixed beforehand.

    Attributes:
        targets: float (classes, bits), of -1 and +1; by default `far_targets`.
    """

    targets: Tensor

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.register_buffer("targets", far_targets(problem))


class Default(Targeted):
    """What `hashgrain train` does at one level: OrthoHash's loss with quantisation, s 16, m 0.2, weight 0.05."""

    normalised = True

    def forward(self, logits: Tensor, labels: Tensor, progress: float) -> Tensor:
        """See `Method`."""
        del progress
        return margin_cross_entropy(logits, self.targets, labels, 16, 0.2) + 0.05 * quantisation_error(logits)


class OrthoHash(Default):
    """One loss for all (Hoe et al., NeurIPS 2021): cosine with fixed random targets, s = 8, m = 0.2, no other term."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        rng = np.random.default_rng(problem.seed)
        self.targets = torch.from_numpy(rng.choice([-1.0, 1.0], (problem.classes, problem.bits)).astype(np.float32))

    def forward(self, logits: Tensor, labels: Tensor, progress: float) -> Tensor:
        """See `Method`."""
        del progress
        return margin_cross_entropy(logits, self.targets, labels, 8, 0.2)


class HashNet(Method):
    """HashNet (Cao et al., ICCV 2017): weighted pairwise likelihood of tanh(beta u), beta 1 to 10, alpha 10 / bits.

    Pairs of one class weigh as much as all the others together.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self._alpha = 10 / problem.bits

    def forward(self, logits: Tensor, labels: Tensor, progress: float) -> Tensor:
        """See `Method`."""
        codes = torch.tanh((1 + 9 * progress) * logits)
        product = self._alpha * codes @ codes.T
        similar = labels[:, None] == labels
        losses = functional.softplus(product) - similar * product
        share = similar.float().mean()
        weights = torch.where(similar, 1 / share, 1 / (1 - share).clamp(min=1e-6))
        return (weights * losses).mean()


class _SignThrough(torch.autograd.Function):
    """sign(u), whose gradient is passed on as if it were the identity."""

    @staticmethod
    def forward(ctx: object, logits: Tensor) -> Tensor:
        del ctx
        return torch.where(logits > 0, 1.0, -1.0)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        del ctx
        return gradient


class GreedyHash(Method):
    """GreedyHash (Su et al., NeurIPS 2018): a classifier on sign(u), gradient passed through, and 0.1 * ||u| - 1|^3."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.classifier = nn.Linear(problem.bits, problem.classes, bias=False)

    def forward(self, logits: Tensor, labels: Tensor, progress: float) -> Tensor:
        """See `Method`."""
        del progress
        codes: Tensor = _SignThrough.apply(logits)  # type: ignore[no-untyped-call]
        near = (logits.abs() - 1).abs().pow(3).mean()
        return functional.cross_entropy(self.classifier(codes), labels) + 0.1 * near


class CSQ(Targeted):
    """Central similarity quantisation (Yuan et al., CVPR 2020): tanh(u) towards Hadamard centres, lambda 1e-4."""

    def forward(self, logits: Tensor, labels: Tensor, progress: float) -> Tensor:
        """See `Method`."""
        del progress
        wanted = (self.targets[labels] + 1) / 2
        centre = functional.binary_cross_entropy_with_logits(2 * logits, wanted)  # sigmoid(2 u) is (tanh(u) + 1) / 2
        return centre + 1e-4 * (torch.tanh(logits).abs() - 1).square().mean()


class DPN(Targeted):
    """Deep polarised network (Fan et al., IJCAI 2020): every bit beyond a margin of 1 on its target's side."""

    def forward(self, logits: Tensor, labels: Tensor, progress: float) -> Tensor:
        """See `Method`."""
        del progress
        return (1 - logits * self.targets[labels]).clamp(min=0).sum(1).mean()


class Proxies(Method):
    """Learned proxies with hinges, as in HHF (Xu et al., 2022): own proxy near, others beyond a threshold; beta 0.001.

    The threshold is the largest cosine that so many proxies need have at this length (a bound of coding theory there,
    the minimum distance of our targets here).
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(problem.seed)
        self.proxies = nn.Parameter(torch.randn(problem.classes, problem.bits, generator=generator))
        similarity = cosines(far_targets(problem), far_targets(problem)).fill_diagonal_(-1)
        self._threshold = float(similarity.max())

    def forward(self, logits: Tensor, labels: Tensor, progress: float) -> Tensor:
        """See `Method`."""
        del progress
        similarity = functional.normalize(logits, dim=1) @ functional.normalize(self.proxies, dim=1).T
        own = functional.one_hot(labels, len(self.proxies)).bool()
        pull = (1 - similarity[own]).mean()
        push = (similarity[~own] - self._threshold).clamp(min=0).mean()
        return pull + push + 0.001 * quantisation_error(logits)


class Quantisation(Method):
    """||u - sign(u)||^2 alone, on balanced bits: what binarising learns without any labels."""

    normalised = True

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        del problem

    def forward(self, logits: Tensor, labels: Tensor, progress: float) -> Tensor:
        """See `Method`."""
        del labels, progress
        return quantisation_error(logits)


METHODS: dict[str, Callable[[Problem], Method]] = {
    "default": Default,
    "orthohash": OrthoHash,
    "csq": CSQ,
    "dpn": DPN,
    "greedyhash": GreedyHash,
    "hashnet": HashNet,
    "proxies": Proxies,
    "quantisation": Quantisation,
}
"""By name; `hashgrain compare` takes these names."""


def far_targets(problem: Problem) -> Tensor:
    """One code of -1 and +1 per class, float (classes, bits): rows of a Hadamard matrix where its order suffices."""
    if problem.classes <= problem.bits // 2 and problem.bits & (problem.bits - 1) == 0:
        codes = fine_targets(np.arange(problem.classes), problem.bits, problem.seed)
    else:
        codes = coarse_targets(problem.classes, problem.bits, problem.seed)
    return torch.from_numpy(codes)
