"""Encoding a whole collection in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from hashgrain.client.encoded import Logits
from hashgrain.client.encoder import HashEncoder
from hashgrain.client.pipeline import Named
from hashgrain.client.sinks import Sink
from hashgrain.client.sources import Item, ItemId
from hashgrain.codes.errors import DataError, ImageRejected


@dataclass(frozen=True)
class BulkReport:
    """What came of a collection.

    Attributes:
        encoded: pictures whose codes the sink has; 0 where none could be read.
        rejected: the others, by id, with the reason, in the collection's order.
    """

    encoded: int
    rejected: tuple[ImageRejected, ...]


def encode_collection(
    encoder: HashEncoder,
    items: Iterable[Item],
    sink: Sink,
    *,
    logits: Logits = False,
    progress: Callable[[int], object] | None = None,
) -> BulkReport:
    """Encode every item and hand the codes to the sink, batch by batch in the items' order.

    Only a few batches are in memory at a time, whatever the length of the collection.

    Args:
        encoder: what encodes.
        items: a `Source`, or any items.
        sink: where the codes go.
        logits: which logits go with them, see `HashEncoder.encode`.
        progress: told the number of pictures done since the last call, the rejected ones included.

    Raises:
        DataError: the collection is empty or cannot be read.
        EncoderError, StoreError: from encoder and sink; what the sink has taken until then stays with it.
    """
    waiting: deque[Item] = deque()
    rejected: list[ImageRejected] = []
    encoded = 0
    for part in encoder.encode_stream(_named(items, waiting), logits=logits):
        batch = [waiting.popleft() for _ in range(part.total)]
        first = encoded + len(rejected)
        kept = [batch[position - first] for position in part.kept]
        if kept:
            ids: list[ItemId] = [item.id for item in kept]
            payloads: list[dict[str, Any]] = [item.payload for item in kept]
            sink.write(ids, part.codes, payloads)
        encoded += len(kept)
        rejected += part.rejected
        if progress is not None:
            progress(part.total)
    if not encoded and not rejected:
        raise DataError("the collection is empty; give a folder, a list or a Parquet file with images in it")
    return BulkReport(encoded, tuple(rejected))


def _named(items: Iterable[Item], waiting: deque[Item]) -> Iterator[Named]:
    """Names and pictures for the encoder; id and payload wait here for the codes, the picture itself does not."""
    for item in items:
        waiting.append(Item(item.id, b"", item.payload))
        yield str(item.id), item.image
