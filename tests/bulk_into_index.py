"""A bulk job of a folder into an index with a ledger, and the ledger's promise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from hashgrain.cli.index_sink import IndexSink
from hashgrain.client import HashEncoder
from hashgrain.client.bulk.job import encode_collection
from hashgrain.client.bulk.ledger import Ledger
from hashgrain.client.bulk.receipt import Receipt
from hashgrain.client.sources.files import FolderSource
from hashgrain.indexer import Index
from stored_codes import stored_codes

NAME = "photos"


def into_index(
    photos: Path, redis_url: str, encoder: HashEncoder, ledger: Path, progress: Callable[[int], object] | None = None
) -> Receipt:
    """Encode a folder into the index `photos`; a server that goes away is waited for."""
    with (
        IndexSink(redis_url, NAME, encoder) as sink,
        Ledger(ledger, encoder.fingerprint, encoder.layout) as opened,
    ):
        return encode_collection(encoder, FolderSource(photos), sink, ledger=opened, patience=60, progress=progress)


def require_whole(redis_url: str, photos: Path, encoder: HashEncoder) -> None:
    """Every picture's code is in the index, as the encoder gives it, and nothing else."""
    names = [item.id for item in FolderSource(photos)]
    codes = encoder.encode([photos / str(name) for name in names])
    with Index.open(redis_url, NAME) as index:
        found = stored_codes(index)
    expected = np.concatenate([codes.coarse, codes.fine], 1)
    assert {name: code for name, (code, _) in found.items()} == {
        name: row.tobytes() for name, row in zip(names, expected, strict=True)
    }


def require_kept(redis_url: str, ledger: Path, encoder: HashEncoder, name: str = NAME) -> None:
    """What the ledger notes as kept by the index is there, with the codes that it notes."""
    with Index.open(redis_url, name) as index, Ledger(ledger, encoder.fingerprint, encoder.layout) as opened:
        found = stored_codes(index)
        noted = opened.entries(list(found))
        kept = {item: entry.codes for item, entry in noted.items() if entry.target is not None}
        assert len(kept) == opened.kept_in(f"{name}@{index.incarnation}"), "the index lacks what the ledger notes"
        assert kept.items() <= {item: code for item, (code, _) in found.items()}.items()
