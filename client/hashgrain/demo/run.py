"""Encode, index, search, measure: `run_demo`."""

from __future__ import annotations

import contextlib
import dataclasses
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashgrain.client import HashEncoder
from hashgrain.codes import HashCodes
from hashgrain.codes.cores import usable_cores
from hashgrain.codes.errors import IndexMissing
from hashgrain.demo.collection import Collection
from hashgrain.indexer import Hit, Index, drop_index

K = 10
INDEX = "demo"


@dataclass(frozen=True)
class Figures:
    """What was measured, on this machine, in this run.

    Attributes:
        source: which pictures.
        images, queries: how many.
        encode_images_per_s: pictures a second from arrays in memory through resizing, Triton and the index, together.
        lookup_p50_ms, lookup_p99_ms: milliseconds of one search of the index by a code, k = 10, one at a time.
        request_p50_ms: milliseconds from one picture to its neighbours: encoding and search.
        coarse_precision_at_10: share of the first ten by coarse distance that are of the query's superclass.
        fine_precision_at_10: share of the first ten by total distance that are of the query's class.
        mean_candidates: records ranked per query.
        bytes_per_item: Redis' memory over items, ids and payloads included.
        encoder, store: names and versions of the servers.
        fingerprint: of the model.
        machine: processor type and count.
    """

    source: str
    images: int
    queries: int
    encode_images_per_s: float
    lookup_p50_ms: float
    lookup_p99_ms: float
    request_p50_ms: float
    coarse_precision_at_10: float
    fine_precision_at_10: float
    mean_candidates: float
    bytes_per_item: float
    encoder: str
    store: str
    fingerprint: str
    machine: str

    def as_dict(self) -> dict[str, object]:
        """For JSON, floats to four digits."""
        return {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in dataclasses.asdict(self).items()
        }


@dataclass(frozen=True, eq=False)
class Outcome:
    """The figures, and the neighbours of every query as positions in the collection."""

    figures: Figures
    coarse_neighbours: list[list[int]]
    fine_neighbours: list[list[int]]


def run_demo(collection: Collection, triton: str, redis: str, store: str, progress: Callable[[int], object]) -> Outcome:
    """Run the main job on servers that are up.

    Args:
        collection: the pictures.
        triton: an encoder's address.
        redis: the store's address; an index named `demo` is made anew there.
        store: the store's name and version, for the figures.
        progress: told the number of pictures encoded since the last call.

    Raises:
        EncoderError, StoreError: a server fails.
    """
    with HashEncoder(triton) as encoder, _fresh_index(redis, encoder) as index:
        start = time.perf_counter()
        _fill(encoder, index, collection, progress)
        encode_seconds = time.perf_counter() - start
        queries = encoder.encode(collection.queries)
        total, lookup_seconds = _search_one_by_one(index, queries)
        coarse = index.search(queries, K, rank="coarse")
        served = encoder.served
        figures = Figures(
            source=collection.source,
            images=len(collection.images),
            queries=len(queries),
            encode_images_per_s=len(collection.images) / encode_seconds,
            lookup_p50_ms=1000 * float(np.percentile(lookup_seconds, 50)),
            lookup_p99_ms=1000 * float(np.percentile(lookup_seconds, 99)),
            request_p50_ms=1000 * _request_seconds(encoder, index, collection),
            coarse_precision_at_10=_precision(
                coarse, collection.parent[collection.labels], collection.parent[collection.query_labels]
            ),
            fine_precision_at_10=_precision(total, collection.labels, collection.query_labels),
            mean_candidates=float(np.mean([hit.candidates for hit in total])),
            bytes_per_item=index.stats().memory / len(collection.images),
            encoder=f"{served.server_name} {served.server_version}",
            store=store,
            fingerprint=encoder.fingerprint,
            machine=f"{platform.machine()}, {usable_cores()} cores",
        )
    return Outcome(figures, [_positions(hit) for hit in coarse], [_positions(hit) for hit in total])


def _fresh_index(redis: str, encoder: HashEncoder) -> Index:
    with contextlib.suppress(IndexMissing):
        drop_index(redis, INDEX)
    return Index.create(redis, INDEX, encoder.layout, fingerprint=encoder.fingerprint)


def _fill(encoder: HashEncoder, index: Index, collection: Collection, progress: Callable[[int], object]) -> None:
    pictures = ((str(position), image) for position, image in enumerate(collection.images))
    for part in encoder.encode_stream(pictures):
        payloads = [{"class": collection.fine_names[collection.labels[position]]} for position in part.kept]
        index.add(part.kept.tolist(), part.codes, payloads, fingerprint=encoder.fingerprint)
        progress(part.total)


def _search_one_by_one(index: Index, queries: HashCodes) -> tuple[list[Hit], NDArray[np.float64]]:
    index.search(queries[:1], K)  # opens the connection
    hits, seconds = [], []
    for query in queries:
        start = time.perf_counter()
        hits += index.search(query, K)
        seconds.append(time.perf_counter() - start)
    return hits, np.array(seconds)


def _request_seconds(encoder: HashEncoder, index: Index, collection: Collection) -> float:
    """Median seconds from one picture to its neighbours."""
    seconds = []
    for picture in collection.queries[:100]:
        start = time.perf_counter()
        index.search(encoder.encode([picture]), K)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def _precision(hits: list[Hit], labels: NDArray[np.int64], query_labels: NDArray[np.int64]) -> float:
    right = [np.sum(labels[_positions(hit)] == label) for hit, label in zip(hits, query_labels, strict=True)]
    return float(np.mean(right)) / K


def _positions(hit: Hit) -> list[int]:
    return [int(identifier) for identifier in hit.ids]
