"""The codes that the default model gives a real data set, encoded in process once and kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hashgrain.client import HashEncoder
from hashgrain.codes import HashCodes
from hashgrain.codes.errors import DataError
from hashgrain.export import readers
from hashgrain.runtime.addresses import model_repository

KEPT = Path("build") / "benchmark_codes"

HINT = (
    "give --data DIR: a folder with CIFAR-100's train-*.parquet and test-*.parquet, its python archive, or the name "
    "cifar100, which is downloaded where there is a network"
)


def real_codes(data: str, split: str) -> tuple[HashCodes, NDArray[np.int64]]:
    """Codes with logits of the split `train` or `test`, and the class of each picture, int64 (N,).

    Raises:
        DataError: there is no such data set.
    """
    encoder = HashEncoder(model_repository())
    kept = KEPT / f"{Path(data).name}-{split}-{encoder.fingerprint}.npz"
    if not kept.exists():
        try:
            pictures = readers.load(data, split, encoder.input_size)
        except DataError as exc:
            raise DataError(f"{exc}; {HINT}") from exc
        print(f"encoding {len(pictures):,} pictures of {data}, {split}, in process (once; kept in {KEPT})", flush=True)
        codes = encoder.encode(pictures.images, logits=True)
        kept.parent.mkdir(parents=True, exist_ok=True)
        assert codes.coarse_logits is not None
        assert codes.fine_logits is not None
        np.savez(kept, coarse=codes.coarse_logits, fine=codes.fine_logits, labels=pictures.fine)
    with np.load(kept) as file:
        return HashCodes.from_logits(file["coarse"], file["fine"]), file["labels"]
