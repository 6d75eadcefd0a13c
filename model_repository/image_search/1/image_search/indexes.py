"""The indexes that requests have asked for: opened on first use, kept, and opened anew where one was replaced."""

from __future__ import annotations

from collections import OrderedDict

from hashgrain.codes import EncoderContract, HashCodes
from hashgrain.codes.errors import IndexMissing
from hashgrain.indexer import Hit, Index
from image_search.question import Question
from image_search.settings import Settings

MOST_OPEN = 16
"""Indexes that are kept open; of more, the one that was not asked for longest is closed."""


class OpenIndexes:
    """Searches indexes by name; one instance of the model has one, used by one thread.

    Args:
        settings: where Redis is, and how long to wait for it.
        contract: of the encoder, whose codes the indexes must hold.
    """

    def __init__(self, settings: Settings, contract: EncoderContract) -> None:
        self._settings = settings
        self._contract = contract
        self._open: OrderedDict[str, Index] = OrderedDict()

    def search(self, question: Question, codes: HashCodes) -> list[Hit]:
        """Answer every query, in order.

        Raises:
            IndexMissing: there is no index of that name (any more).
            LayoutMismatch, FingerprintMismatch: it holds codes of another model.
            InvalidInput, StoreError: see `Index.search`.
        """
        if question.index in self._open:
            try:
                return self._ask(self._open[question.index], question, codes)
            except IndexMissing:  # dropped since it was opened; perhaps there is a new one under its name
                self._open.pop(question.index).close()
        return self._ask(self._find(question.index), question, codes)

    def close(self) -> None:
        """Close all connections."""
        while self._open:
            self._open.popitem()[1].close()

    def _find(self, name: str) -> Index:
        index = Index.open(self._settings.redis, name, timeouts=self._settings.timeouts)
        try:
            index.layout.require(self._contract.layout, f"index {name!r}")
            index.require_fingerprint(self._contract.fingerprint)
        except BaseException:
            index.close()
            raise
        self._open[name] = index
        if len(self._open) > MOST_OPEN:
            self._open.popitem(last=False)[1].close()
        return index

    def _ask(self, index: Index, question: Question, codes: HashCodes) -> list[Hit]:
        self._open.move_to_end(question.index)
        asked = question.search
        return index.search(
            codes,
            asked.k,
            rank=asked.rank,
            candidates=asked.candidates,
            probes=asked.probes,
            radius=asked.radius,
            within=asked.within,
            exact=asked.exact,
            refine=asked.refine,
            deadline=asked.deadline,
            payloads=asked.payloads,
        )
