"""What an index holds, bit for bit, through nothing but its public search."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.indexer import Index, ItemId


def stored_codes(index: Index) -> dict[ItemId, tuple[bytes, Any]]:
    """By id, the packed codes and the payload; the distances to all zeros and to every single bit give them away."""
    hits = index.search(_probes(index.layout), k=10**6, exact=True, payloads=True)
    zero, bits = hits[0], index.layout.coarse_bits + index.layout.fine_bits
    ids = list(zero.ids)
    weights = _distances(zero, ids)
    set_bits = np.array([_distances(hit, ids) < weights for hit in hits[1:]]).T.reshape(len(ids), bits)
    payloads = dict(zip(zero.ids, zero.payloads or [], strict=True))
    coarse, fine = set_bits[:, : index.layout.coarse_bits], set_bits[:, index.layout.coarse_bits :]
    rows = np.concatenate([np.packbits(coarse, 1), np.packbits(fine, 1)], 1)
    return {item: (row.tobytes(), payloads[item]) for item, row in zip(ids, rows, strict=True)}


def _probes(layout: CodeLayout) -> HashCodes:
    single = np.eye(layout.coarse_bits + layout.fine_bits, dtype=np.uint8)
    bits = np.concatenate([np.zeros((1, single.shape[1]), np.uint8), single])
    return HashCodes(np.packbits(bits[:, : layout.coarse_bits], 1), np.packbits(bits[:, layout.coarse_bits :], 1))


def _distances(hit: Any, ids: list[ItemId]) -> NDArray[np.int64]:
    by_id = dict(zip(hit.ids, hit.distances.tolist(), strict=True))
    return np.array([by_id[item] for item in ids], np.int64)
