"""From one generation to the next: which pictures go, with which payloads, and where they are put."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from hashgrain.client.bulk.ledger import Ledger
from hashgrain.client.sources.items import Item, ItemId
from hashgrain.codes import HashCodes
from hashgrain.indexer import Index
from hashgrain.rebuild.seen import Seen

_AT_ONCE = 256
_PAGE = 5000


class CarriedItems:
    """Those pictures whose ids an index holds, with the payloads that it holds; looked up before they are read.

    Args:
        live: the index.
        pictures: the collection.
        seen: told what the index holds of each.

    Attributes:
        carried, passed_over: pictures so far that the index holds, and that it does not.
        example: the id of one of the latter.
    """

    def __init__(self, live: Index, pictures: Iterable[Item], seen: Seen) -> None:
        self._live = live
        self._pictures = pictures
        self._seen = seen
        self.carried = self.passed_over = 0
        self.example: ItemId | None = None

    def __iter__(self) -> Iterator[Item]:
        pictures = iter(self._pictures)
        while some := list(islice(pictures, _AT_ONCE)):
            held = self._live.get([item.id for item in some])
            self._seen.note(held)
            payloads = dict(zip(held.ids, held.payloads, strict=True))
            self._seen.note_absent(item.id for item in some if item.id not in payloads)
            for item in some:
                if item.id in payloads:
                    self.carried += 1
                    yield replace(item, payload=dict(payloads[item.id] or {}))
                else:
                    self.passed_over += 1
                    self.example = item.id


class GenerationSink:
    """The sink of a rebuild: a generation that is not live yet. See `hashgrain.client.sinks.sink.Sink`.

    Args:
        name: of the index.
        generation: opened.
        fingerprint: of the model that encodes.
    """

    def __init__(self, name: str, generation: Index, fingerprint: str) -> None:
        self._name, self._generation, self._fingerprint = name, generation, fingerprint

    @property
    def target(self) -> str:
        """What `hashgrain encode --index NAME` calls it once it is live: the same ledger then goes on with it."""
        return f"{self._name}@{self._generation.incarnation}"

    def write(self, ids: list[ItemId], codes: HashCodes, payloads: list[dict[str, Any]]) -> None:
        """See `Sink`."""
        kept = [payload or None for payload in payloads]  # an empty payload would be stored all the same
        self._generation.add(ids, codes, kept, fingerprint=self._fingerprint)


def delete_gone(live: Index, generation: Index, ledger: Ledger, seen: Seen) -> int:
    """Delete from a generation what the live one does not hold, or did not when the pass looked; returns how many.

    (What was away then and is back now may be another than before. The next pass brings it.)
    """
    deleted = 0
    for ids in pages(generation):
        held = set(live.get(ids).ids) - seen.absent(ids)
        if gone := [id_ for id_ in ids if id_ not in held]:
            deleted += generation.delete(gone)
            ledger.record(replace(entry, target=None) for entry in ledger.entries(gone).values())
    return deleted


def missing_from(live: Index, generation: Index) -> list[ItemId]:
    """What the live generation holds and the other does not."""
    found: list[ItemId] = []
    for ids in pages(live):
        there = set(generation.get(ids).ids)
        found += [id_ for id_ in ids if id_ not in there]
    return found


def pages(index: Index) -> Iterator[list[ItemId]]:
    """All ids, some thousands at a time."""
    page = index.ids(_PAGE)
    while page.cursor is not None:
        yield page.ids
        page = index.ids(_PAGE, page.cursor)
    yield page.ids
