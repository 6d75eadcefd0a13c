"""Encoding a whole collection: any number of pictures, in bounded memory, without doing anything twice.

Files are read by one set of threads, decoded by another, sent by a third, and the caller's own thread writes to the
sink, all at the same time. In memory at a time are at most:

    32                    image files on their way from the disk or the network
    in_flight + 6         batches, each of at most batch_size pictures, or 64 MiB of their files and one file more;
                          where the encoder finds the number in flight itself, that is 16 at most, in process 1;
                          a picture counts as its file until it is decoded, then as S x S x 3 bytes until it is encoded
    16 * batch_size       items in each batch whose codes are known: id, payload and a few digests
    all                   rejected pictures, id and reason, for the receipt
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from hashgrain.client.bulk.ahead import Ahead
from hashgrain.client.bulk.delivery import Delivery
from hashgrain.client.bulk.ledger import Ledger
from hashgrain.client.bulk.plan import Batch, Plan
from hashgrain.client.bulk.reading import Reader
from hashgrain.client.bulk.receipt import Receipt
from hashgrain.client.encoding.decoding import Named
from hashgrain.client.encoding.encoded import Encoded, Logits
from hashgrain.client.encoding.encoder import HashEncoder
from hashgrain.client.encoding.stage_clock import StageClock
from hashgrain.client.sinks.sink import Sink
from hashgrain.client.sources.items import Item
from hashgrain.client.wire.energy import EnergyMeter
from hashgrain.codes.errors import DataError, InvalidInput

BATCHES_AHEAD = 1
"""Batches that wait between reading and encoding, and between encoding and the sink."""

PATIENCE_S = 300.0


def encode_collection(
    encoder: HashEncoder,
    items: Iterable[Item],
    sink: Sink,
    *,
    ledger: Ledger | None = None,
    verify: bool = False,
    logits: Logits = False,
    patience: float = PATIENCE_S,
    progress: Callable[[int], object] | None = None,
    metrics: str | None = None,
) -> Receipt:
    """Encode every item and hand the codes to the sink, batch by batch in the items' order.

    With a ledger the work can be broken off at any moment, by `kill -9` too, and be done again with the same
    arguments: it goes on where it was, and in the end the sink holds what it would hold without the interruption.
    Pictures that have not changed since the sink got their codes are passed over, identical ones are encoded once.

    Args:
        encoder: what encodes.
        items: a `Source`, or any items.
        sink: where the codes go.
        ledger: what has been done and what is known, see `Ledger`.
        verify: read every file, instead of trusting size and time of change.
        logits: which logits go with the codes, see `HashEncoder.encode`; a ledger keeps none.
        patience: seconds to wait for a server that goes away in the middle, each time.
        progress: told the number of pictures done since the last call, the rejected ones included; called, like the
            sink, from the calling thread.
        metrics: address of Triton's metrics, for the receipt's energy; see `EnergyMeter`.

    Raises:
        DataError: the collection is empty or cannot be read, or the ledger cannot be written.
        InvalidInput: logits are asked for with a ledger, or `metrics` is no address.
        EncoderError, StoreError: from encoder and sink; what the sink has taken until then stays with it.
    """
    if ledger is not None and logits:
        raise InvalidInput("a ledger keeps codes and no logits; leave out one of the two")
    energy = EnergyMeter(metrics)
    begun, clock = time.perf_counter(), StageClock()
    plan = Plan(ledger, sink.target if ledger is not None else None, encoder.batch_size)
    delivery = Delivery(sink, ledger, encoder.layout, clock)

    def encoded(batches: Iterable[Batch]) -> Iterator[tuple[Batch, Encoded]]:
        under_way: deque[Batch] = deque()
        pictures = _pictures(batches, under_way)
        for part in encoder.encode_batches(pictures, logits=logits, patience=patience, clock=clock):
            yield under_way.popleft(), part

    contents = Reader(ledger, verify, clock).read(items)
    with (
        Ahead(plan.batches(contents), BATCHES_AHEAD) as batches,
        Ahead(encoded(batches), BATCHES_AHEAD) as finished,
    ):
        for batch, part in finished:
            delivery.deliver(batch, part, plan.recorded)
            if progress is not None:
                progress(len(batch.planned))
    receipt = replace(delivery.receipt(time.perf_counter() - begun), joules=energy.joules())
    if not receipt.images:
        raise DataError("the collection is empty; give a folder, a list or a Parquet file with images in it")
    return receipt


def _pictures(batches: Iterable[Batch], under_way: deque[Batch]) -> Iterator[list[Named]]:
    """The pictures of each batch; the batch itself waits for their codes."""
    for batch in batches:
        under_way.append(batch)
        yield batch.take_pictures()
