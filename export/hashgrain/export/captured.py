"""`CapturedStep`: a training step recorded once as a CUDA graph and then replayed.

A small network's step is a thousand short kernels, and launching them one by one takes a host several times as long as
they run. A replay launches all of them at once (NVIDIA, "Getting started with CUDA graphs", 2019).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hashgrain.export.batches import Labels

WARM_UP = 4
"""Steps taken before the recording, so that every buffer exists and every kernel is chosen."""


class CapturedStep:
    """Takes batches of one shape, as `step` does.

    Args:
        step: from views, float (B, 3, S, S), and labels to the terms of the loss; it must not wait for the GPU, and
            what it reads besides must stay in place.
    """

    def __init__(self, step: Callable[[Tensor, Labels], Tensor]) -> None:
        self._step = step
        self._taken = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def __call__(self, views: Tensor, labels: Labels) -> Tensor:
        """The step on a batch; returns a copy of what it gave."""
        self._put(views, labels)
        self._taken += 1
        if self._taken <= WARM_UP:
            return self._on_side_stream()
        if self._graph is None:
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._terms = self._step(self._views, self._labels)
        self._graph.replay()  # recording does not compute anything
        return self._terms.clone()

    def _put(self, views: Tensor, labels: Labels) -> None:
        """Copy a batch into the buffers that the recording reads; an unmixed picture is all of its first class."""
        second = labels.first if labels.second is None else labels.second
        if self._taken == 0:
            share = torch.empty((), device=views.device)
            self._views, self._labels = torch.empty_like(views), Labels(labels.first.clone(), second.clone(), share)
        self._views.copy_(views)
        self._labels.first.copy_(labels.first)
        assert self._labels.second is not None
        assert isinstance(self._labels.share, Tensor)
        self._labels.second.copy_(second)
        self._labels.share.fill_(labels.share)

    def _on_side_stream(self) -> Tensor:
        """Graphs are recorded on a stream of their own, and autograd must have seen no other."""
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            terms = self._step(self._views, self._labels)
        current.wait_stream(self._stream)
        return terms
