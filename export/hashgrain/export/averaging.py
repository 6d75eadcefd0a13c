"""The averaged copy of a network's weights, which is what a run exports."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class WeightAverage:
    """An exponential moving average of the parameters (Polyak and Juditsky, 1992).

    Buffers are not averaged: BatchNorm's statistics are taken anew before the copy is used.

    Args:
        network: what is averaged; its first update is taken as it is.
        decay: share of the old average that a step keeps, 0..1.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(network)
        self.module.requires_grad_(False)
        self._decay = decay
        self._averaged: list[Tensor] = list(self.module.parameters())
        self._followed: list[Tensor] = list(network.parameters())
        self._started = False

    @torch.no_grad()
    def update(self) -> None:
        """Take in the network's weights of now."""
        weight = 1 - self._decay if self._started else 1.0
        torch._foreach_lerp_(self._averaged, self._followed, weight)  # one kernel for all, not one each
        self._started = True

    def state_dict(self) -> dict[str, Tensor]:
        """What a checkpoint keeps; there is an average only once a step was taken."""
        state: dict[str, Tensor] = self.module.state_dict() if self._started else {}
        return state

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from a checkpoint's average."""
        if state:
            self.module.load_state_dict(state)
            self._started = True
