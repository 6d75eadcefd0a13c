"""Fit the generator to the codes of the default model: `python -m benchmarks.fit_codes --data DIR`.

Writes benchmarks/class_codes.npz: needed again only when the default model changes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.class_codes import FILE, ClassCodes
from benchmarks.real_codes import HINT, real_codes
from hashgrain.codes.errors import HashgrainError


def main() -> None:
    """Items are fitted to the pictures trained on, queries to those that the network never saw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help=HINT)
    parser.add_argument("--out", type=Path, default=FILE)
    arguments = parser.parse_args()
    arrays: dict[str, NDArray[np.generic]] = {}
    for prefix, split in (("items", "train"), ("queries", "test")):
        try:
            codes, labels = real_codes(arguments.data, split)
        except HashgrainError as exc:
            parser.error(str(exc))
        assert codes.coarse_logits is not None
        assert codes.fine_logits is not None
        arrays |= ClassCodes.fit(np.hstack([codes.coarse_logits, codes.fine_logits]), labels).arrays(prefix)
    np.savez_compressed(arguments.out, **arrays)  # type: ignore[arg-type]
    print(f"{arguments.out}: {arguments.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
