"""What is to be done with each item: batches in which some pictures go to the network and others need not.

A content that the ledger knows, or that is on its way to the network already, is not sent again: the item shares its
`Picture` with whoever was first. Since batches are settled in order, the answer is there when it is needed.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hashgrain.client.bulk.ledger import Ledger
from hashgrain.client.bulk.reading import ITEMS_AHEAD, Content
from hashgrain.client.encoding.decoding import Named
from hashgrain.client.encoding.encoded import Encoded
from hashgrain.client.sources.items import Item, ItemId
from hashgrain.codes import HashCodes

BATCH_BYTES = 64 * 2**20
"""A batch with so many bytes of image files is full, however few they are."""

ITEMS_PER_PICTURE = 16
"""So many times as many items as pictures fill a batch: items whose codes are known take little memory each."""


class Picture:
    """One content: its codes, packed, or the reason why there are none, as soon as they are known."""

    __slots__ = ("codes", "reason")

    def __init__(self, codes: bytes | None = None, reason: str | None = None) -> None:
        self.codes = codes
        self.reason = reason


@dataclass(frozen=True)
class Planned:
    """An item and what is to be done with it.

    Attributes:
        item: without its image.
        picture: its codes, once they are known.
        digest, stamp, payload: for the ledger, see there.
        sent: its picture goes to the network for its sake.
        unchanged: nothing is to be done: its codes are where they belong, or it was rejected before.
        noted: the ledger says all this already.
    """

    item: Item
    picture: Picture
    digest: bytes | None = None
    stamp: bytes | None = None
    payload: bytes = b""
    sent: bool = False
    unchanged: bool = False
    noted: bool = False


@dataclass
class Batch:
    """Some items in order, and the pictures among them that go to the network."""

    planned: list[Planned] = field(default_factory=list)
    pictures: list[Named] = field(default_factory=list)
    bytes_read: int = 0
    _bytes_sent: int = 0

    def add(self, planned: Planned, data: bytes | None) -> None:
        """Take one more item, and the bytes that were read of it."""
        self.planned.append(planned)
        self.bytes_read += len(data or b"")
        if planned.sent and data is not None:
            self.pictures.append((str(planned.item.id), data))
            self._bytes_sent += len(data)

    def is_full(self, size: int) -> bool:
        """Whether it is time to send it, pictures of one request being `size`."""
        return (
            len(self.pictures) >= size
            or self._bytes_sent >= BATCH_BYTES
            or len(self.planned) >= size * ITEMS_PER_PICTURE
        )

    def take_pictures(self) -> list[Named]:
        """The pictures, which are not kept here any longer."""
        pictures, self.pictures = self.pictures, []
        return pictures

    def settle(self, encoded: Encoded) -> None:
        """Give each picture that was sent its codes, or the reason why it has none."""
        sent = [planned.picture for planned in self.planned if planned.sent]
        for position, codes in zip(encoded.kept.tolist(), packed(encoded.codes), strict=True):
            sent[position].codes = codes
        left_out = (picture for picture in sent if picture.codes is None)
        for picture, rejected in zip(left_out, encoded.rejected, strict=True):
            picture.reason = rejected.reason


class Plan:
    """Makes batches.

    Args:
        ledger: what is known from earlier; without one every picture is sent.
        target: where the sink keeps what it gets, see `Sink.target`.
        size: pictures of one request.
    """

    def __init__(self, ledger: Ledger | None, target: str | None, size: int) -> None:
        self._ledger = ledger
        self._target = target
        self._size = size
        self._under_way: dict[bytes, Picture] = {}
        self._writes: Counter[ItemId] = Counter()
        self._recorded: deque[tuple[int, Batch]] = deque()
        self._position = 0

    def batches(self, contents: Iterable[Content]) -> Iterator[Batch]:
        """All that was read, in order, batch by batch."""
        batch = Batch()
        for content in contents:
            batch.add(self._planned(content), content.data)
            if batch.is_full(self._size):
                yield batch
                batch = Batch()
        if batch.planned:
            yield batch

    def recorded(self, batch: Batch) -> None:
        """The ledger has the batch: it is found there from now on."""
        for planned in batch.planned:
            if planned.sent and planned.digest is not None:
                self._under_way.pop(planned.digest, None)
        self._recorded.append((self._position, batch))

    def _planned(self, content: Content) -> Planned:
        planned = self._decided(content)
        self._position += 1
        if self._ledger is not None and not planned.unchanged:
            self._writes[planned.item.id] += 1
        while self._recorded and self._recorded[0][0] + 2 * ITEMS_AHEAD < self._position:
            self._writes -= Counter(p.item.id for p in self._recorded.popleft()[1].planned if not p.unchanged)
        return planned

    def _decided(self, content: Content) -> Planned:
        if content.reason is not None:
            return Planned(content.item, Picture(reason=content.reason), payload=_digest(content.item.payload))
        if self._ledger is None or content.digest is None:
            return Planned(content.item, Picture(), sent=True)
        return self._known(self._ledger, content, content.digest)

    def _known(self, ledger: Ledger, content: Content, digest: bytes) -> Planned:
        entry, item, payload = content.entry, content.item, _digest(content.item.payload)
        # The entry was looked up a little earlier: it does not count where the same id has been written since.
        if entry is not None and entry.content == digest and item.id not in self._writes:
            kept = self._target is not None and (entry.target, entry.payload) == (self._target, payload)
            return Planned(
                item,
                Picture(entry.codes, entry.reason),
                digest,
                content.stamp,
                payload,
                unchanged=kept or entry.reason is not None,
                noted=entry.stamp == content.stamp,
            )
        # First what is under way, then the ledger: a content leaves the one only after it has come into the other.
        picture = self._under_way.get(digest)
        if picture is None and (answer := ledger.answer(digest)) is not None:
            picture = Picture(answer.codes, answer.reason)
        if picture is not None:
            return Planned(item, picture, digest, content.stamp, payload)
        self._under_way[digest] = picture = Picture()
        return Planned(item, picture, digest, content.stamp, payload, sent=True)


def packed(codes: HashCodes) -> list[bytes]:
    """Coarse and fine code of each row, one behind the other."""
    return [coarse.tobytes() + fine.tobytes() for coarse, fine in zip(codes.coarse, codes.fine, strict=True)]


def _digest(payload: dict[str, Any]) -> bytes:
    text = json.dumps(payload, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode("utf-8", "backslashreplace"), digest_size=8).digest()
