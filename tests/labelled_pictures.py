"""Small drawn data sets with labels at two levels, in the Parquet layout that Hugging Face uses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pictures import file_bytes

FINE = ("red_dark", "red_light", "blue_dark", "blue_light")
COARSE = ("red", "blue")
PARENT = (0, 0, 1, 1)
COLOURS = ((120, 0, 0), (250, 90, 90), (0, 0, 120), (90, 90, 250))


def drawn(count: int, seed: int, size: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Noisy pictures of four colours, uint8 (N, S, S, 3), and their classes, int64 (N,)."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    noise = rng.normal(0, 25, (count, size, size, 3))
    return np.clip(np.array(COLOURS)[labels][:, None, None] + noise, 0, 255).astype(np.uint8), labels


def write_parquet(folder: Path, counts: dict[str, int], two_levels: bool = True) -> Path:
    """A folder of split-00000-of-00001.parquet files."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (split, count) in enumerate(counts.items()):
        images, labels = drawn(count, seed)
        columns = {"img": [{"bytes": file_bytes(image), "path": None} for image in images]}
        features = {"img": {"_type": "Image"}}
        if two_levels:
            columns |= {"fine_label": labels, "coarse_label": np.array(PARENT)[labels]}
            features |= {"fine_label": {"names": FINE, "_type": "ClassLabel"}, "coarse_label": {"names": COARSE}}
        else:
            columns |= {"label": labels}
            features |= {"label": {"names": FINE, "_type": "ClassLabel"}}
        metadata = {"huggingface": json.dumps({"info": {"features": features}})}
        pq.write_table(pa.table(columns).replace_schema_metadata(metadata), folder / f"{split}-00000-of-00001.parquet")
    return folder
