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


@contextmanager
def steps_done(unit: str) -> Iterator[Callable[[int, int], None]]:
    """A bar that is told how many of how many are done, where that takes more than two seconds."""
    from tqdm import tqdm

    with tqdm(unit=unit, delay=2, disable=not sys.stderr.isatty(), leave=False) as bar:

        def show(done: int, total: int) -> None:
            if done < bar.n:
                bar.reset()  # another round
            bar.total = total
            bar.update(done - bar.n)

        yield show
