"""An index of a cluster in use: written and searched all the time, while something is done to the servers."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import numpy as np

from hashgrain.codes import CodeLayout
from hashgrain.indexer import Index, Timeouts, check_index
from own_cluster import eventually
from random_codes import random_codes

LAYOUT = CodeLayout(16, 64)
CODES = random_codes(600, LAYOUT, centres=8, flips=0.2)


def names_of(count: int, first: int = 0) -> list[int | str]:
    """Ids of both kinds in turn."""
    return [n if n % 2 else f"item {n}" for n in range(first, first + count)]


class Use:
    """A writer, a reader and one that keeps buckets, each at it in a thread of its own until the block ends.

    What the writer has added is looked for by the readers at once. Whatever goes wrong is raised at the end.
    """

    def __init__(self, url: str, timeouts: Timeouts) -> None:
        self.index = Index.create(url, "x", LAYOUT, shards=4, bucket_items=16, timeouts=timeouts)
        self.index.add(names_of(20), CODES[:20])
        self._open = [Index.open(url, "x", timeouts=timeouts, cache_bytes=size) for size in (None, 1 << 20)]
        self._over = threading.Event()
        self._wrong: list[BaseException] = []
        self.written, self.searches = 20, [0, 0]
        work: list[Callable[[], None]] = [self._write, lambda: self._search(0), lambda: self._search(1)]
        self._threads = [threading.Thread(target=self._until_over, args=(one,)) for one in work]

    def __enter__(self) -> Use:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        for index in self._open:
            index.close()
        for wrong in self._wrong:
            raise wrong

    def go_on(self) -> None:
        """Wait until all three have done something that they began after now."""
        written, searches = self.written, list(self.searches)
        eventually(
            lambda: (
                bool(self._wrong)
                or (self.written > written + 40 and min(np.subtract(self.searches, searches).tolist()) > 1)
            )
        )

    def _until_over(self, work: Callable[[], None]) -> None:
        try:
            while not self._over.is_set() and not self._wrong:
                work()
        except BaseException as exc:  # told in the test's own thread
            self._wrong.append(exc)

    def _write(self) -> None:
        row = self.written % len(CODES)
        count = min(20, len(CODES) - row)
        self.index.add(names_of(count, self.written), CODES[row : row + count])
        self.written += count

    def _search(self, reader: int) -> None:
        last = self.written - 1
        row = last % len(CODES)
        hit = self._open[reader].search(CODES[row : row + 1], 5000, within=0)[0]
        assert names_of(1, last)[0] in hit.ids, f"reader {reader} does not see item {last}"
        assert len(set(map(str, hit.ids))) == len(hit.ids)
        self.searches[reader] += 1


def require_every_item_once(url: str, use: Use) -> None:
    """What was acknowledged is there, and nothing twice."""
    assert len(use.index) == use.written
    found = use.index.ids(100_000).ids
    assert Counter(map(str, found)) == Counter(map(str, names_of(use.written)))
    assert check_index(url, "x").findings == ()
