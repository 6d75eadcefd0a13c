"""The indexes that requests have asked for: opened on first use, kept, and opened anew where one was replaced."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress

from hashgrain.codes import EncoderContract, HashCodes
from hashgrain.codes.contract import ENCODER_MODEL
from hashgrain.codes.errors import (
    FingerprintMismatch,
    IndexMissing,
    LayoutMismatch,
    StoreError,
    StoreUnavailable,
)
from hashgrain.indexer import Hit, Index, ShadowStats, Timeouts
from hashgrain.indexer.wire.connection import Connection
from image_search.question import Question
from image_search.settings import Settings

MOST_OPEN = 16
"""Indexes that are kept open; of more, the one that was not asked for longest is closed."""


READY_TIMEOUTS = Timeouts(connect=1.0, read=1.0, recovery=1.0)
"""Triton asks whether this model is ready while others wait, and gives up after 5 s."""


class Replaced(StoreUnavailable):
    """The index holds the codes of another version than it did when the pictures were encoded."""


class OpenIndexes:
    """Searches indexes by name; one instance of the model has one, used by one thread, but for `ready`.

    Args:
        settings: where Redis is, and how long to wait for it.
        contracts: of the encoder's versions, one of whose codes an index must hold.
    """

    def __init__(self, settings: Settings, contracts: dict[int, EncoderContract]) -> None:
        self._settings = settings
        self._contracts = contracts
        self._open: OrderedDict[str, tuple[Index, int]] = OrderedDict()
        self._probe = Connection.to(settings.redis, READY_TIMEOUTS)

    def ready(self) -> bool:
        """Whether Redis answers, within a second or two. Any thread may ask."""
        try:
            self._probe.require_answers()
        except StoreError:
            return False
        return True

    def version_for(self, question: Question) -> int:
        """The version of the encoder whose codes the index holds that the question asks for.

        Raises:
            IndexMissing: there is no index of that name.
            LayoutMismatch, FingerprintMismatch: it holds codes of another model.
            StoreError: see `Index.open`.
        """
        if question.index not in self._open:
            self._find(question.index)
        return self._open[question.index][1]

    def require_version(self, question: Question, version: int) -> None:
        """Refuse codes of another version than those that the index holds.

        Raises:
            FingerprintMismatch: they are.
            IndexMissing, LayoutMismatch, StoreError: see `version_for`.
        """
        if self.version_for(question) == version:
            return
        with Index.open(self._settings.redis, question.index, timeouts=self._settings.timeouts) as now:
            holds = self._version_of(now, question.index)  # it may have been switched since it was opened
        if holds != version:
            raise FingerprintMismatch(
                f"index {question.index!r} holds codes of version {holds} of {ENCODER_MODEL}, and these are of version "
                f"{version}; say which model made them by the parameter fingerprint, or send pictures to image_search, "
                "which takes the right version by itself"
            )
        self._open.pop(question.index)[0].close()
        self._find(question.index)

    def search(self, question: Question, codes: HashCodes, version: int) -> list[Hit]:
        """Answer every query, in order.

        Args:
            question: what is asked.
            codes: of the pictures.
            version: of the encoder, which made them.

        Raises:
            IndexMissing: there is no index of that name (any more).
            LayoutMismatch, FingerprintMismatch: it holds codes of another model.
            Replaced: it was replaced a moment ago by one that holds another version's codes.
            InvalidInput, StoreError: see `Index.search`.
        """
        try:
            return self._ask(self._open[question.index][0], question, codes)
        except (IndexMissing, FingerprintMismatch, LayoutMismatch):
            # Dropped since it was opened, or switched to a generation of another model: look what is there now.
            self._open.pop(question.index)[0].close()
        if self.version_for(question) != version:
            raise Replaced(f"index {question.index!r} was just replaced by another model's; ask again")
        return self._ask(self._open[question.index][0], question, codes)

    def samples(self) -> dict[str, ShadowStats]:
        """What the shadow sample says of each index that is open."""
        told = {name: index.shadow_stats() for name, (index, _) in self._open.items()}
        return {name: stats for name, stats in told.items() if stats is not None}

    def close(self) -> None:
        """Close all connections."""
        self._probe.close()
        while self._open:
            self._open.popitem()[1][0].close()

    def _find(self, name: str) -> None:
        settings = self._settings
        index = Index.open(
            settings.redis,
            name,
            timeouts=settings.timeouts,
            cache_bytes=settings.cache_bytes or None,
            max_staleness=settings.max_staleness_s,
            shadow=settings.shadow or None,
        )
        try:
            version = self._version_of(index, name)
        except BaseException:
            index.close()
            raise
        self._open[name] = (index, version)
        if len(self._open) > MOST_OPEN:
            self._open.popitem(last=False)[1][0].close()

    def _version_of(self, index: Index, name: str) -> int:
        newest_first = sorted(self._contracts, reverse=True)
        index.layout.require(self._contracts[newest_first[0]].layout, f"index {name!r}")
        for version in newest_first:
            with suppress(FingerprintMismatch):
                index.require_fingerprint(self._contracts[version].fingerprint)
                return version
        index.require_fingerprint(self._contracts[newest_first[0]].fingerprint)  # for its words
        return newest_first[0]

    def _ask(self, index: Index, question: Question, codes: HashCodes) -> list[Hit]:
        self._open.move_to_end(question.index)
        return index.answer(codes, question.search)
