"""Progress, on standard error where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def items_done(total: int | None) -> Iterator[Callable[[int], object]]:
    """A bar that is told how many items have been done since."""
    from tqdm import tqdm

    with tqdm(total=total, unit=" items", disable=not sys.stderr.isatty(), leave=False) as bar:
        yield bar.update
