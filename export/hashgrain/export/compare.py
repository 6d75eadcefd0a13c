"""Compare ways to learn codes on the same features: `compare(task, methods, lengths, seeds)`.

The features stay as they are and only the head learns: a grid of dozens of runs ends within minutes on a CPU, and the
methods differ in nothing but their loss. Networks trained as a whole reach more (`hashgrain train`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hashgrain.codes import hamming
from hashgrain.codes.errors import InvalidInput
from hashgrain.codes.packing import pack_logits
from hashgrain.export.features import FeatureTask
from hashgrain.export.methods import METHODS, Problem
from hashgrain.export.metrics import average_precision, bucket_statistics
from hashgrain.export.trainer import one_cycle

EPOCHS, BATCH, RATE, DECAY = 60, 128, 3e-3, 1e-2
CHUNK = 16
DEPTHS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True, eq=False)
class Outcome:
    """One method at one length with one seed.

    Attributes:
        method, bits, seed: what was run.
        mean_precision: mAP@ALL, ties in closed form.
        entropy: of the database's codes over all their values, in bits.
        seconds: that the training of the head took.
        precision, recall: float (len(DEPTHS),), expected, after the first DEPTHS shares of the ranking.
        codes: uint8 (N, bits / 8), the database's.
    """

    method: str
    bits: int
    seed: int
    mean_precision: float
    entropy: float
    seconds: float
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    codes: NDArray[np.uint8]


def require_grid(methods: tuple[str, ...], lengths: tuple[int, ...]) -> None:
    """See that these can be compared, before the features are computed.

    Raises:
        InvalidInput: an unknown method, or a length that is no multiple of 8.
    """
    for name in methods:
        if name not in METHODS:
            raise InvalidInput(f"no method {name!r}: choose from {sorted(METHODS)}")
    for bits in lengths:
        if bits % 8 or not 8 <= bits <= 256:
            raise InvalidInput(f"codes are compared at 8 to 256 bits, a multiple of 8, got {bits}")


def compare(
    task: FeatureTask, methods: tuple[str, ...], lengths: tuple[int, ...], seeds: tuple[int, ...], epochs: int = EPOCHS
) -> Iterator[Outcome]:
    """Run the grid, one outcome after the other.

    Args:
        task: features in the roles of a protocol.
        methods: names out of `methods.METHODS`.
        lengths: of the codes, multiples of 8.
        seeds: decide targets, first weights and order.
        epochs: passes over the training features.

    Raises:
        InvalidInput: see `require_grid`.
    """
    require_grid(methods, lengths)
    for bits in lengths:
        for name in methods:
            for seed in seeds:
                yield _run(task, name, bits, seed, epochs)


def _run(task: FeatureTask, name: str, bits: int, seed: int, epochs: int) -> Outcome:
    start = time.monotonic()
    scale = np.linalg.norm(task.database[task.training], axis=1).mean() / task.database.shape[1] ** 0.5
    head = train_head(
        task.database[task.training] / scale,
        task.database_labels[task.training],
        name,
        Problem(task.classes, bits, seed),
        epochs,
    )
    seconds = time.monotonic() - start
    queries, database = (pack_logits(_apply(head, rows / scale)) for rows in (task.queries, task.database))
    everything, relevant = _counts(queries, database, task)
    precision, recall = _curve(everything, relevant)
    _, keys = np.unique(database, axis=0, return_inverse=True)
    return Outcome(
        name,
        bits,
        seed,
        float(average_precision(everything, relevant).mean()),
        bucket_statistics(keys.astype(np.uint32))["entropy_bits"],
        seconds,
        precision,
        recall,
        database,
    )


def train_head(
    features: NDArray[np.float32], labels: NDArray[np.int64], name: str, problem: Problem, epochs: int
) -> nn.Module:
    """A linear head, float (B, D) → logits (B, bits), in evaluation mode, trained by AdamW over one cycle."""
    torch.manual_seed(problem.seed)
    method = METHODS[name](problem)
    layers: list[nn.Module] = [nn.Linear(features.shape[1], problem.bits)]
    if method.normalised:
        layers = [nn.Linear(features.shape[1], problem.bits, bias=False), nn.BatchNorm1d(problem.bits, affine=False)]
    head = nn.Sequential(*layers)
    optimiser = torch.optim.AdamW([*head.parameters(), *method.parameters()], weight_decay=DECAY)
    inputs, classes = torch.from_numpy(features), torch.from_numpy(labels)
    steps, step = epochs * (len(inputs) // BATCH), 0
    while step < steps:
        order = torch.randperm(len(inputs))
        for position in range(len(inputs) // BATCH):
            rows = order[position * BATCH : (position + 1) * BATCH]
            for group in optimiser.param_groups:
                group["lr"] = RATE * one_cycle(step / steps, 0.2)
            loss = method(head(inputs[rows]), classes[rows], step / steps)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            step += 1
    return head.eval()


def _apply(head: nn.Module, features: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.inference_mode():
        logits: NDArray[np.float32] = head(torch.from_numpy(features)).numpy()
    return logits


def _counts(
    queries: NDArray[np.uint8], database: NDArray[np.uint8], task: FeatureTask
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Items at each distance for every query, and the relevant ones among them, int64 (Q, bits + 1) each."""
    levels = 8 * queries.shape[1] + 1
    everything, relevant = (np.zeros((len(queries), levels), np.int64) for _ in range(2))
    for start in range(0, len(queries), CHUNK):
        distances = hamming(queries[start : start + CHUNK], database)
        for row, distance in enumerate(distances, start):
            same = task.database_labels == task.query_labels[row]
            everything[row] = np.bincount(distance, minlength=levels)
            relevant[row] = np.bincount(distance[same], minlength=levels)
    return everything, relevant


def _curve(
    everything: NDArray[np.int64], relevant: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean precision and recall after each share of the ranking; a tied group is entered evenly."""
    total = everything.sum(1)
    seen, found = (np.concatenate([np.zeros((len(c), 1)), np.cumsum(c, 1)], 1) for c in (everything, relevant))
    precision, recall = (np.zeros((len(total), len(DEPTHS))) for _ in range(2))
    for row in range(len(total)):
        cut = np.array(DEPTHS) * total[row]
        hits = np.interp(cut, seen[row], found[row])
        precision[row], recall[row] = hits / cut, hits / max(1, found[row, -1])
    return precision.mean(0), recall.mean(0)
