"""The passes of a rebuild: each looks at every picture, and does what the one before could not know of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hashgrain.client import HashEncoder
from hashgrain.client.bulk.job import encode_collection
from hashgrain.client.bulk.ledger import Ledger
from hashgrain.client.bulk.receipt import Receipt
from hashgrain.client.sources.items import Item
from hashgrain.codes.errors import DataError
from hashgrain.indexer import Index, ItemId
from hashgrain.rebuild.carried import CarriedItems, GenerationSink, delete_gone, missing_from
from hashgrain.rebuild.seen import Late, Seen

PASSES = 5
"""Passes at most: where writers write all the time, each finds something to do."""


@dataclass(frozen=True)
class Passed:
    """What came of all passes; see `rebuild.Rebuilt`."""

    receipts: tuple[Receipt, ...]
    missing: tuple[ItemId, ...]
    passed_over: int


@dataclass(frozen=True)
class Passes:
    """The live generation and the next one while it is built.

    Attributes:
        name: of the index.
        live, generation: both, opened by their numbers.
        encoder: makes the codes of the next one.
        ledger: what it has got.
        seen: what the live one held when the last pass looked.
    """

    name: str
    live: Index
    generation: Index
    encoder: HashEncoder
    ledger: Ledger
    seen: Seen

    def run(
        self, pictures: Callable[[], Iterable[Item]], patience: float, progress: Callable[[int], object] | None
    ) -> Passed:
        """Pass over the pictures until there is nothing to do.

        Args:
            pictures: opens the collection.
            patience, progress: see `rebuild_index`.

        Raises:
            DataError: no picture belongs to the index.
            StoreError, EncoderError.
        """
        sink = GenerationSink(self.name, self.generation, self.encoder.fingerprint)
        if self.ledger.kept_in(sink.target) != len(self.generation):
            self.ledger.forget_target(sink.target)  # all is sent to it again, by the codes that the ledger knows
        receipts: list[Receipt] = []
        missing: set[ItemId] = set()
        for number in range(PASSES):
            self.seen.clear()
            carried = CarriedItems(self.live, pictures(), self.seen)
            receipts.append(self._once(carried, sink, patience, None if number else progress))
            deleted = delete_gone(self.live, self.generation, self.ledger, self.seen)
            lacking, before = set(missing_from(self.live, self.generation)), missing
            without = lacking - self.seen.absent(lacking)
            # An item that came after the pass had begun may have a picture: the next one looks for it.
            missing = without & before if number else without
            if number and not (receipts[-1].encoded or receipts[-1].reused or deleted or lacking - before):
                break
        return Passed(tuple(receipts), tuple(sorted(missing, key=str)), carried.passed_over)

    def _once(
        self, carried: CarriedItems, sink: GenerationSink, patience: float, progress: Callable[[int], object] | None
    ) -> Receipt:
        try:
            return encode_collection(
                self.encoder, carried, sink, ledger=self.ledger, patience=patience, progress=progress
            )
        except DataError as exc:
            if carried.carried or not carried.passed_over:
                raise
            raise DataError(
                f"of {carried.passed_over:,} pictures, none has an id that index {self.name!r} holds (one has "
                f"{carried.example!r}; `hashgrain index ids {self.name}` shows those of the index); name the sources "
                "as they were named when it was filled"
            ) from exc

    def late(self, missing: tuple[ItemId, ...]) -> Late:
        """What was written to the generation that was live, and can only be read now, since the last pass."""
        known = set(missing)
        written = [id_ for some in self.live.items() for id_ in self.seen.changed(some) if id_ not in known]
        return Late(tuple(written), tuple(self.seen.left()))
