"""A coarse level for data that have labels at one level only: groups of classes that look alike.

The classes' mean features, as the backbone gives them before it is trained, are joined two by two, always the pair
whose union spreads least (Ward, "Hierarchical grouping to optimize an objective function", JASA 1963), up to a size
beyond which a group takes no more: buckets should not be led by one giant group.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from hashgrain.export.dataset import LabelledImages
from hashgrain.export.features import backbone_features
from hashgrain.export.hierarchy import Tree
from hashgrain.export.network import build_network
from hashgrain.export.settings import TrainSettings

CLASSES_PER_GROUP = 4
LARGEST = 2.0
"""A group holds at most so many times the mean number of classes."""

PICTURES_PER_CLASS = 50

Groups = dict[str, list[str]]
"""The classes of each group by its name: a hierarchy file's content."""


def with_coarse_level(settings: TrainSettings, data: LabelledImages) -> tuple[LabelledImages, Groups | None]:
    """The data under learned groups where they have labels at one level only; else as they are, and None.

    Four classes of one level are the fewest that are grouped.
    """
    classes = len(data.fine_names)
    count = settings.coarse_groups or max(2, round(classes / CLASSES_PER_GROUP))
    if not data.one_level or classes < CLASSES_PER_GROUP or count >= classes:
        return data, None
    parent = grouped(_class_means(settings, data), count)
    members = [[data.fine_names[n] for n in np.flatnonzero(parent == group)] for group in range(count)]
    groups = {_name(names): names for names in members}
    return data.under(Tree.of_parents(parent), tuple(groups)), groups


def grouped(means: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Join classes into groups.

    Args:
        means: float32 (classes, D), a point for each class.
        count: how many groups, from 1 to the number of classes.

    Returns:
        int64 (classes,), the group of each class, numbered in the order of their first classes.
    """
    largest = max(2, int(np.ceil(LARGEST * len(means) / count)))
    members = [[label] for label in range(len(means))]
    while len(members) > count:
        sizes = np.array([len(group) for group in members])
        centres = np.stack([means[group].mean(0) for group in members])
        apart = np.square(centres).sum(1)[:, None] + np.square(centres).sum(1) - 2 * centres @ centres.T
        cost = apart * np.outer(sizes, sizes) / np.add.outer(sizes, sizes)
        cost[np.add.outer(sizes, sizes) > largest] = np.inf
        np.fill_diagonal(cost, np.inf)
        first, second = sorted(np.unravel_index(int(np.argmin(cost)), cost.shape))
        if np.isinf(cost[first, second]):  # the sizes leave no pair: let one grow beyond
            largest *= 2
            continue
        members[first] = sorted(members[first] + members.pop(int(second)))
    groups = np.empty(len(means), np.int64)
    for number, group in enumerate(sorted(members)):
        groups[group] = number
    return groups


def _class_means(settings: TrainSettings, data: LabelledImages) -> NDArray[np.float32]:
    """Mean direction of some pictures of each class, float32 (classes, D); a class without any has zeros."""
    rows = [np.flatnonzero(data.fine == label)[:PICTURES_PER_CLASS] for label in range(len(data.fine_names))]
    some = data.take(np.concatenate(rows))
    torch.manual_seed(settings.seed)  # a backbone without published weights
    features = backbone_features(build_network(settings), some.images, torch.device("cpu"), progress=False).numpy()
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    means = np.zeros((len(data.fine_names), features.shape[1]), np.float32)
    np.add.at(means, some.fine, unit)
    means /= np.maximum(np.bincount(some.fine, minlength=len(means)), 1)[:, None]
    centred: NDArray[np.float32] = means - means.mean(0)
    return centred


def _name(classes: list[str]) -> str:
    """The group's first classes, of which no other group has any."""
    shown = ", ".join(classes[:3])
    return shown if len(classes) <= 3 else f"{shown} and {len(classes) - 3} more"
