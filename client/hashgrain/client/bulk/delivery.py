"""`Delivery`: codes into the sink, then a note of it into the ledger, never the other way round."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hashgrain.client.bulk.ledger import Entry, Ledger
from hashgrain.client.bulk.plan import Batch, Planned
from hashgrain.client.bulk.receipt import Receipt
from hashgrain.client.encoding.encoded import Encoded
from hashgrain.client.encoding.stage_clock import StageClock
from hashgrain.client.sinks.sink import Sink
from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.errors import ImageRejected


class Delivery:
    """Hands batches on in their order and counts what came of them.

    Args:
        sink: where codes go.
        ledger: where it is noted, once the sink has acknowledged them.
        layout: the code lengths.
        clock: told how long it takes.
    """

    def __init__(self, sink: Sink, ledger: Ledger | None, layout: CodeLayout, clock: StageClock) -> None:
        self._sink = sink
        self._ledger = ledger
        self._layout = layout
        self._clock = clock
        self._encoded = self._reused = self._unchanged = self._quarantined = self._bytes = 0
        self._rejected: list[ImageRejected] = []

    def deliver(self, batch: Batch, encoded: Encoded, recorded: Callable[[Batch], object]) -> None:
        """Deliver one batch; `recorded` is told once the ledger has it.

        Raises:
            HashgrainError: the sink or the ledger failed; then the ledger says nothing of this batch.
        """
        batch.settle(encoded)
        with self._clock.at("write"):
            written = [planned for planned in batch.planned if planned.picture.codes and not planned.unchanged]
            if written:
                codes = encoded.codes if self._ledger is None else self._unpacked(written)
                self._sink.write([p.item.id for p in written], codes, [p.item.payload for p in written])
            if self._ledger is not None:
                self._note(self._ledger, batch)
        recorded(batch)
        self._count(batch)

    def receipt(self, seconds: float) -> Receipt:
        """What came of all batches."""
        return Receipt(
            self._encoded,
            self._reused,
            self._unchanged,
            tuple(self._rejected),
            self._quarantined,
            self._bytes,
            seconds,
            self._clock.times(),
        )

    def _unpacked(self, written: list[Planned]) -> HashCodes:
        rows = np.frombuffer(b"".join(planned.picture.codes or b"" for planned in written), np.uint8)
        rows = rows.reshape(len(written), -1)
        width = self._layout.coarse_bytes
        return HashCodes(rows[:, :width], rows[:, width:])

    def _note(self, ledger: Ledger, batch: Batch) -> None:
        target = self._sink.target
        new = [planned for planned in batch.planned if not (planned.unchanged and planned.noted)]
        if new:
            ledger.record(_entry(planned, target) for planned in new)

    def _count(self, batch: Batch) -> None:
        self._bytes += batch.bytes_read
        for planned in batch.planned:
            if planned.picture.codes is not None:
                self._encoded += planned.sent
                self._unchanged += planned.unchanged
                self._reused += not (planned.sent or planned.unchanged)
            elif planned.unchanged:
                self._quarantined += 1
            else:
                self._rejected.append(ImageRejected(str(planned.item.id), planned.picture.reason or ""))


def _entry(planned: Planned, target: str | None) -> Entry:
    picture = planned.picture
    return Entry(
        planned.item.id,
        planned.digest,
        planned.stamp,
        planned.payload,
        picture.codes,
        picture.reason,
        None if picture.codes is None else target,
    )
