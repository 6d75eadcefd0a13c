"""The recall of a sample of the searches (see `hashgrain.indexer.managing.shadow`), as metrics of Triton."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import triton_python_backend_utils as pb_utils

from hashgrain.indexer import ShadowStats

COUNTERS = {
    "compared": ("hashgrain_shadow_queries", "Queries that were searched for exhaustively, too"),
    "recalls": ("hashgrain_shadow_recall_sum", "Sum of the recalls of these queries, 0 to 1 each"),
    "dropped": ("hashgrain_shadow_dropped", "Sampled queries that were let go, as others waited"),
    "failed": ("hashgrain_shadow_failed", "Sampled queries that could not be searched for exhaustively"),
}
"""By what `ShadowStats` counts, name and help of each counter; its labels are the index and the instance."""


class ShadowMetrics:
    """Counts on what the samples say; made where there are any.

    Args:
        instance: name of this instance of the model: each has samples of its own.
    """

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._families = {
            counted: pb_utils.MetricFamily(name=name, description=text, kind=pb_utils.MetricFamily.COUNTER)
            for counted, (name, text) in COUNTERS.items()
        }
        self._metrics: dict[tuple[str, str], Any] = {}
        self._told: dict[tuple[str, str], float] = {}

    def report(self, samples: Mapping[str, ShadowStats]) -> None:
        """Have the counters say what the samples do, given by the name of the index."""
        for index, stats in samples.items():
            for counted, family in self._families.items():
                key, now = (index, counted), float(getattr(stats, counted))
                if key not in self._metrics:
                    self._metrics[key] = family.Metric(labels={"index": index, "instance": self._instance})
                told = self._told.get(key, 0.0)
                if more := now - (told if now >= told else 0.0):  # one that was opened anew counts from 0
                    self._metrics[key].increment(more)
                self._told[key] = now
