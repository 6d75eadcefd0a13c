"""Small drawn sets of vectors with labels at two levels, as .npy and as Parquet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CLASSES, WIDTH = 8, 40


def drawn(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors around eight centres, two of a superclass near one another, float32 (N, 40), and both labels."""
    places = np.random.default_rng(99)
    above = places.normal(size=(CLASSES // 2, WIDTH)).repeat(2, axis=0)
    centres = above + 0.7 * places.normal(size=(CLASSES, WIDTH))
    rng = np.random.default_rng(seed)
    fine = rng.integers(0, CLASSES, count)
    vectors = centres[fine] + 0.6 * rng.normal(size=(count, WIDTH))
    return vectors.astype(np.float32), fine, fine // 2


def names(fine: np.ndarray, coarse: np.ndarray) -> np.ndarray:
    """The labels as strings, (N, 2)."""
    return np.stack([[f"class {n}" for n in fine], [f"group {n}" for n in coarse]], axis=1)


def write_vectors(folder: Path, train: int = 480, test: int = 80) -> Path:
    """A folder of train.npy and test.npy with their labels."""
    folder.mkdir(parents=True)
    for seed, (split, count) in enumerate((("train", train), ("test", test))):
        vectors, fine, coarse = drawn(count, seed)
        np.save(folder / f"{split}.npy", vectors)
        np.save(folder / f"{split}.labels.npy", names(fine, coarse))
    return folder


def write_vector_parquet(path: Path, count: int = 200, *, labels: bool = True, fixed: bool = True) -> Path:
    """One Parquet file of the same, ids and a column of lists, fixed in size or not."""
    vectors, fine, coarse = drawn(count, 0)
    kind = pa.list_(pa.float32(), WIDTH) if fixed else pa.list_(pa.float64())
    columns = {"key": [f"item {n}" for n in range(count)], "embedding": pa.array(list(vectors), kind)}
    if labels:
        told = names(fine, coarse)
        columns |= {"fine_label": told[:, 0].tolist(), "coarse_label": told[:, 1].tolist()}
    pq.write_table(pa.table(columns), path)
    return path
