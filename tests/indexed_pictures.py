"""An index of numbered pictures, encoded by the model that a real Triton serves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from embedded_servers import EmbeddedServers
from hashgrain.client import HashEncoder
from hashgrain.indexer import Index, Kind
from pictures import arrays


@contextmanager
def indexed_pictures(servers: EmbeddedServers, name: str, count: int) -> Iterator[Index]:
    """Items `item 0`, `item 1`, ..., with their numbers as payload and as the field `number`; dropped in the end."""
    kinds: dict[str, Kind] = {"number": "number"}
    with (
        HashEncoder(servers.grpc) as encoder,
        Index.create(servers.redis, name, encoder.layout, fingerprint=encoder.fingerprint, fields=kinds) as index,
    ):
        ids, payloads = [f"item {n}" for n in range(count)], [{"number": n} for n in range(count)]
        index.add(ids, encoder.encode(arrays(count)), payloads)
        yield index
        index.drop()
