"""Items that say of themselves which codes they should have, to tell whether what is read is of one moment."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.indexer import Index, ItemId, StoredItems

LAYOUT = CodeLayout(16, 64)


def codes_of(versions: Sequence[int], layout: CodeLayout = LAYOUT) -> HashCodes:
    """The codes that a payload `{"v": version}` goes with; versions that differ by little make codes that do."""
    rows = [np.random.default_rng([7, version]).random(layout.coarse_bits + layout.fine_bits) for version in versions]
    bits = np.array(rows).reshape(len(versions), -1) < 0.5
    return HashCodes(
        np.packbits(bits[:, : layout.coarse_bits], axis=1), np.packbits(bits[:, layout.coarse_bits :], axis=1)
    )


def write(index: Index, ids: Sequence[ItemId], versions: Sequence[int]) -> None:
    """Write items with the codes of some versions."""
    payloads: list[dict[str, Any]] = [{"v": version} for version in versions]
    index.add(ids, codes_of(versions, index.layout), payloads)


def versions_of(parts: Sequence[StoredItems], layout: CodeLayout = LAYOUT) -> dict[ItemId, int]:
    """The version of every item; fails where an id comes twice, or where codes are not those of the payload."""
    found: dict[ItemId, int] = {}
    for part in parts:
        versions = [(payload or {})["v"] for payload in part.payloads]
        meant = codes_of(versions, layout)
        assert np.array_equal(part.codes.fine, meant.fine), "codes and payload are of two moments"
        assert np.array_equal(part.codes.coarse, meant.coarse), "codes and payload are of two moments"
        for id_, version in zip(part.ids, versions, strict=True):
            assert id_ not in found, f"{id_!r} came twice"
            found[id_] = version
    return found


@contextmanager
def writers(url: str, replaced: list[ItemId]) -> Iterator[None]:
    """Have the index `photos` written to: items come (buckets split, pages are made) and go, from id 1,000,000 on, and
    some are replaced again and again (they move to other buckets)."""
    over, failures = threading.Event(), []

    def run(work: object) -> None:
        step = 0
        with Index.open(url, "photos") as index:
            while not over.is_set():
                step += 1
                try:
                    work(index, step)  # type: ignore[operator]
                except BaseException as exc:
                    failures.append(exc)
                    return

    def replace(index: Index, step: int) -> None:
        some = list(np.random.default_rng(step).permutation(len(replaced))[:50])
        write(index, [replaced[n] for n in some], [10_000 + step * 50 + n for n in range(50)])

    def come_and_go(index: Index, step: int) -> None:
        first = 1_000_000 + 50 * step
        write(index, range(first, first + 50), range(first, first + 50))
        index.delete(range(first - 500, first - 475))

    threads = [threading.Thread(target=run, args=(work,)) for work in (replace, come_and_go)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert not failures, failures
