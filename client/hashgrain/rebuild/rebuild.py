"""Building the next generation of an index from its pictures, while the live one is read and written.

An index holds no pictures: they are encoded anew from where they lie, as `hashgrain encode` reads them, and each item
keeps its id and the payload that the live generation holds. Whatever was written while a pass went on is found by the
next, which looks at every picture again and encodes those that are new or changed; when a pass has found nothing
to do, readers are switched. What is written between that pass and the switch is named: the generation that was live can
only be read from then on, so that it tells.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hashgrain.client import HashEncoder
from hashgrain.client.bulk.job import PATIENCE_S
from hashgrain.client.bulk.ledger import Ledger
from hashgrain.client.bulk.receipt import Receipt
from hashgrain.client.sources.items import Item
from hashgrain.codes.errors import DataError, ImageRejected, IndexMissing, InvalidInput, StoreError
from hashgrain.indexer import (
    Generation,
    Index,
    ItemId,
    Timeouts,
    create_generation,
    drop_index,
    list_generations,
    switch_generation,
)
from hashgrain.indexer.wire.connection import DEFAULT_TIMEOUTS
from hashgrain.rebuild.carried import GenerationSink
from hashgrain.rebuild.passes import Passes
from hashgrain.rebuild.seen import Late, Seen

SHOWN = 5


@dataclass(frozen=True)
class Rebuilt:
    """What came of a rebuild.

    Attributes:
        name: of the generation that was built, `photos@1`.
        items: how many it holds.
        before: the name of the one that it was built from.
        switched: whether it is the live one now.
        receipts: of each pass; none where an earlier call with the same ledger had done it all.
        passed_over: pictures that the index does not hold.
        rejected: pictures that cannot be read, each with the reason.
        missing: items of the index that the new generation lacks, as there is no picture of them that can be read.
        late: what was written between the last pass and the switch.
    """

    name: str
    items: int
    before: str
    switched: bool
    receipts: tuple[Receipt, ...]
    passed_over: int
    rejected: tuple[ImageRejected, ...]
    missing: tuple[ItemId, ...]
    late: Late


def rebuild_index(
    redis_url: str,
    name: str,
    encoder: HashEncoder,
    pictures: Callable[[], Iterable[Item]],
    *,
    ledger: Path | None = None,
    shards: int | None = None,
    switch: bool = True,
    allow_missing: bool = False,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    patience: float = PATIENCE_S,
    progress: Callable[[int], object] | None = None,
) -> Rebuilt:
    """Build the next generation of an index by encoding its pictures anew, and make it the live one.

    The new generation has the fields of the live one; a picture whose id the index does not hold is passed over. With a
    ledger, a rebuild that was cut short, by `kill -9` too, goes on where it was when it is called again; without one a
    rebuild that fails leaves nothing behind (one that is killed, a generation to drop).

    Args:
        redis_url, timeouts: see `Index.open`.
        name: of the index, without a number.
        encoder: the other encoder.
        pictures: opens the collection; called for each pass.
        ledger: the file that notes what is done, see `Ledger`; None for one that is gone afterwards.
        shards: of the new generation; as many as the live one has by default.
        switch: whether readers go over to it in the end.
        allow_missing: switch although there are items without a picture, which are then no longer found.
        patience: seconds to wait for an encoder that goes away in the middle, each time.
        progress: told the number of pictures of the first pass that have been done since the last call.

    Raises:
        InvalidInput: the name says a generation, or the index is empty.
        DataError: no picture belongs to the index, or some items have none and `allow_missing` is not set: the new
            generation is there, then, and is not switched to.
        StoreError: also where somebody else switched meanwhile.
        IndexMissing, IndexCorrupt, StoreUnavailable, StoreFull, EncoderError, FingerprintMismatch (of the ledger).
    """
    live_one = _live(redis_url, name, timeouts)
    with (
        _ledger_file(ledger) as file,
        Ledger(file, encoder.fingerprint, encoder.layout) as notes,
        Index.open(redis_url, live_one.name, timeouts=timeouts) as live,
        Seen() as seen,
    ):
        if not len(live):
            raise InvalidInput(
                f"index {name!r} is empty, so there is nothing to rebuild; make the next generation with `hashgrain "
                f"index create {name} --generation`, and encode into it"
            )
        if ledger and live.fingerprint == encoder.fingerprint and notes.kept_in(_target(name, live, encoder)):
            return Rebuilt(
                live_one.name, len(live), live_one.name, True, (), 0, (), (), Late()
            )  # an earlier call did it
        begun = _begun(redis_url, name, encoder, notes, timeouts) if ledger else None
        opened = begun or create_generation(
            redis_url,
            name,
            encoder.layout,
            fingerprint=encoder.fingerprint,
            shards=shards or live.shards,
            fields=live.fields,
            timeouts=timeouts,
        )
        with opened as generation:
            building = Passes(name, live, generation, encoder, notes, seen)
            try:
                passed = building.run(pictures, patience, progress)
            except BaseException:
                if ledger is None:
                    drop_index(redis_url, generation.name, timeouts=timeouts)
                raise
            if switch:
                _require_whole(name, generation.name, passed.missing, allow_missing)
                _require_live(redis_url, name, live_one, generation.name, timeouts)
                switch_generation(redis_url, name, _number(generation.name), timeouts=timeouts)
            return Rebuilt(
                generation.name,
                len(generation),
                live_one.name,
                switch,
                passed.receipts,
                passed.passed_over,
                passed.receipts[0].rejected,
                passed.missing,
                building.late(passed.missing) if switch else Late(),
            )


def _live(redis_url: str, name: str, timeouts: Timeouts) -> Generation:
    if "@" in name:
        raise InvalidInput(f"{name!r} is one generation of an index; a rebuild makes the next: give the name alone")
    for one in list_generations(redis_url, name, timeouts=timeouts):
        if one.live:
            return one
    raise IndexMissing(f"index {name!r} has no live generation; see `hashgrain index generations {name}`")


def _begun(redis_url: str, name: str, encoder: HashEncoder, ledger: Ledger, timeouts: Timeouts) -> Index | None:
    """The generation that an earlier call with this ledger began to build, opened; None where there is none."""
    for one in reversed(list_generations(redis_url, name, timeouts=timeouts)):
        if one.live or one.state != "live" or one.fingerprint != encoder.fingerprint:
            continue
        index = Index.open(redis_url, one.name, timeouts=timeouts)
        if ledger.kept_in(_target(name, index, encoder)):
            return index
        index.close()
    return None


def _target(name: str, index: Index, encoder: HashEncoder) -> str:
    return GenerationSink(name, index, encoder.fingerprint).target


def _require_live(redis_url: str, name: str, was: Generation, built: str, timeouts: Timeouts) -> None:
    now = _live(redis_url, name, timeouts)
    if now.number != was.number:
        raise StoreError(
            f"index {name!r} was switched to {now.name} by somebody else while {built} was built from {was.name}; look "
            f"at `hashgrain index generations {name}`, and switch to {built} if it is still wanted"
        )


def _require_whole(name: str, built: str, missing: tuple[ItemId, ...], allow_missing: bool) -> None:
    if missing and not allow_missing:
        some = ", ".join(map(repr, missing[:SHOWN])) + (", ..." if len(missing) > SHOWN else "")
        raise DataError(
            f"{built} is built, and was not switched to: of {len(missing):,} items of the index there is no picture "
            f"that can be read, {some}; name the sources that have them, or delete them from the index, and rebuild; "
            f"or do without them: `hashgrain index switch {name} --to {_number(built)}`"
        )


def _number(name: str) -> int:
    return int(name.rpartition("@")[2])


@contextmanager
def _ledger_file(given: Path | None) -> Iterator[Path]:
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="hashgrain-rebuild-") as folder:
        yield Path(folder) / "ledger"
