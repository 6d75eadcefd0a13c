"""Vectors in a .npy file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hashgrain.client.sources.items import Item, joined, printable
from hashgrain.client.sources.vectors import vector_bytes
from hashgrain.codes.errors import DataError


class NpySource:
    """The rows of a float array (N, D), read as the work goes on.

    Args:
        path: the file.
        prefix: put before every id in place of the file's stem.

    Raises:
        DataError: it is not such a file, or has no rows.
    """

    def __init__(self, path: Path, prefix: str = "") -> None:
        self._path = path
        try:
            self._rows = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as exc:
            raise DataError(f"{path} cannot be read as an array ({exc}); write it with numpy.save") from exc
        if self._rows.ndim != 2 or self._rows.dtype.kind != "f" or not len(self._rows):
            raise DataError(
                f"{path} holds {self._rows.dtype} {self._rows.shape}; vectors are floats (N, D), one row each"
            )
        self._prefix = prefix or printable(path.stem)

    def __iter__(self) -> Iterator[Item]:
        """See `Source`."""
        for number, row in enumerate(self._rows):
            payload = {"path": printable(str(self._path)), "row": number}
            yield Item(joined(self._prefix, str(number)), vector_bytes(row), payload)

    def count(self) -> int:
        """See `Source`."""
        return len(self._rows)
