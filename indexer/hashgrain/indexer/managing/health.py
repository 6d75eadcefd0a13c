"""How healthy an index and its codes are: measured on a sample, while the index is in use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import InvalidInput, StoreUnavailable
from hashgrain.codes.layout import CodeLayout, HashCodes
from hashgrain.codes.packing import unpack_bits
from hashgrain.indexer.managing.shadow import tie_aware_recall
from hashgrain.indexer.managing.statistics import measure
from hashgrain.indexer.request import SearchRequest
from hashgrain.indexer.results import Hit
from hashgrain.indexer.stored.records import Records
from hashgrain.indexer.stored.shard import Shard

Search = Callable[[HashCodes, SearchRequest], list[Hit]]

_BUCKETS = 2000
_AT_ONCE = 50
_ATTEMPTS = 20


@dataclass(frozen=True, eq=False)
class BitHealth:
    """The bits of one of the two codes, over sampled items.

    Attributes:
        ones: float64 (bits,), each bit's share of ones; 1/2 tells the most.
        correlation: float64 (bits, bits), between any two; a bit that never changes has 0 with all.
    """

    ones: NDArray[np.float64]
    correlation: NDArray[np.float64]

    @property
    def imbalance(self) -> float:
        """Mean over bits of |share of ones - 1/2|: 0 at best, 1/2 where no bit says anything."""
        return float(np.abs(self.ones - 0.5).mean())

    @property
    def mean_correlation(self) -> float:
        """Mean of |correlation| over pairs of bits: 0 where they are independent, 1 where they all say the same."""
        pairs = self.correlation[np.triu_indices(len(self.correlation), 1)]
        return float(np.abs(pairs).mean())

    @classmethod
    def of(cls, bits: NDArray[np.uint8]) -> BitHealth:
        """Of 0/1 bits, uint8 (N, bits)."""
        centred = bits - bits.mean(axis=0)
        spread = np.sqrt((centred**2).mean(axis=0))
        scaled = centred / np.where(spread > 0, spread, 1.0)
        return cls(bits.mean(axis=0), scaled.T @ scaled / max(len(bits), 1))


@dataclass(frozen=True, eq=False)
class IndexHealth:
    """An index's health.

    Attributes:
        items: how many it holds.
        sizes: int64 (B,), records of every bucket, descending, holes included.
        radius: how far an item may lie from its bucket's centroid, in bits of both codes: mean over buckets that are
            not empty. What a search can prove depends on it.
        entropy: of the distribution of items over buckets, in bits; at most log2(B), where all are of a size.
        sampled: items whose codes were looked at.
        coarse, fine: their bits.
        coarse_codes: different coarse codes among them.
        coarse_entropy: of these, in bits.
        repeated: share of them that have the same two codes as another one of them.
        queries: how many of them were searched for; the figures below are means over these.
        k: how many neighbours of each.
        compared: share of the items that the default budget compares.
        buckets_read: how many buckets that reads.
        recall: share of its k that are as near as the k nearest of all, by exhaustive search (ties count as found).
        proven: share of answers that are proven exact.
    """

    items: int
    sizes: NDArray[np.int64]
    radius: float
    entropy: float
    sampled: int
    coarse: BitHealth
    fine: BitHealth
    coarse_codes: int
    coarse_entropy: float
    repeated: float
    queries: int
    k: int
    compared: float
    buckets_read: float
    recall: float
    proven: float


def index_health(
    shards: Sequence[Shard], search: Search, *, items: int, queries: int, k: int, seed: int
) -> IndexHealth:
    """Measure; see `Index.health`."""
    for name, value in (("items", items), ("queries", queries), ("k", k)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InvalidInput(f"{name} must be an integer of 1 or more, got {value!r}")
    rng = np.random.default_rng(seed)
    measured = [measure(shard) for shard in shards]
    total = sum(shard.items for shard in measured)
    if not total:
        raise InvalidInput(f"index {shards[0].keys.name!r} is empty; there is nothing to measure yet")
    sizes = np.sort(np.concatenate([shard.records for shard in measured]))[::-1]
    codes = _sample(shards, rng, items)
    layout = shards[0].header.layout
    both = np.concatenate([codes.coarse, codes.fine], axis=1)
    _, counts = np.unique(both, axis=0, return_counts=True)
    _, of_coarse = np.unique(codes.coarse, axis=0, return_counts=True)
    asked = codes[rng.permutation(len(codes))[:queries]]
    hits = search(asked, SearchRequest(k))
    exact = search(asked, SearchRequest(k, exact=True))
    return IndexHealth(
        items=total,
        sizes=sizes,
        radius=float(np.concatenate([shard.radii[shard.records > 0] for shard in measured]).mean()),
        entropy=_entropy(sizes),
        sampled=len(codes),
        coarse=BitHealth.of(unpack_bits(codes.coarse, layout.coarse_bits)),
        fine=BitHealth.of(unpack_bits(codes.fine, layout.fine_bits)),
        coarse_codes=len(of_coarse),
        coarse_entropy=_entropy(of_coarse),
        repeated=float(counts[counts > 1].sum() / len(codes)),
        queries=len(asked),
        k=k,
        compared=float(np.mean([hit.candidates for hit in hits])) / total,
        buckets_read=float(np.mean([hit.buckets for hit in hits])),
        recall=float(
            np.mean([tie_aware_recall(hit.distances, best.distances) for hit, best in zip(hits, exact, strict=True)])
        ),
        proven=float(np.mean([hit.exact for hit in hits])),
    )


def _entropy(counts: NDArray[np.int64]) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum())


def _sample(shards: Sequence[Shard], rng: np.random.Generator, items: int) -> HashCodes:
    """Codes of some items: of all that lie in some buckets, drawn evenly, as many as are wanted, drawn evenly."""
    layout = shards[0].header.layout
    coarse, fine = [], []
    for shard in shards:
        records = _some_records(shard, rng, _BUCKETS // len(shards) + 1)
        coarse.append(_packed(records.coarse, layout))
        fine.append(records.fine)
    found = HashCodes(np.concatenate(coarse), np.concatenate(fine))
    return found[np.sort(rng.permutation(len(found))[:items])]


def _some_records(shard: Shard, rng: np.random.Generator, most: int) -> Records:
    """The records of some buckets of a shard, drawn evenly; read in steps, begun anew where the partition changes."""
    for _ in range(_ATTEMPTS):
        directory = shard.directory()
        partition = directory.partition
        numbers = np.sort(rng.permutation(len(partition))[:most])
        read: list[bytes] = []
        for start in range(0, len(numbers), _AT_ONCE):
            some = shard.read(directory, numbers[start : start + _AT_ONCE])
            if some is None:
                break
            read += some
        else:
            return Records.parse(read, partition.handle_bytes[numbers], numbers, shard.header.layout, shard.keys)
    raise StoreUnavailable(
        f"writers changed the partition of index {shard.keys.name!r} under {_ATTEMPTS} attempts to sample it; try "
        "again when less is written"
    )


def _packed(coarse: NDArray[np.uint32], layout: CodeLayout) -> NDArray[np.uint8]:
    """Coarse codes as numbers → packed, uint8 (N, coarse bytes)."""
    width = layout.coarse_bytes
    shifted = coarse.astype(np.uint32) << np.uint32(8 * width - layout.coarse_bits)
    return np.ascontiguousarray(shifted.astype(">u4").view(np.uint8).reshape(-1, 4)[:, 4 - width :])
