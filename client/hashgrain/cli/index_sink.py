"""`IndexSink`: an index as the sink of a bulk job."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from hashgrain.codes import HashCodes

if TYPE_CHECKING:
    from hashgrain.client import HashEncoder
    from hashgrain.client.bulk.ledger import Ledger
    from hashgrain.client.sources.items import ItemId
    from hashgrain.indexer import Index


class IndexSink:
    """A sink that adds to an index, which is created with the first batch when it is missing; use it in a `with`.

    Args:
        redis_url, name: where the index is.
        encoder: whose codes it gets.

    Raises:
        FingerprintMismatch, LayoutMismatch: it holds codes of another model.
        StoreError: see `Index.open`.
    """

    def __init__(self, redis_url: str, name: str, encoder: HashEncoder) -> None:
        self.name, self._redis_url, self._encoder = name, redis_url, encoder
        self._index: Index | None = None
        self._open()

    def _open(self) -> None:
        from hashgrain.codes.errors import IndexMissing
        from hashgrain.indexer import Index

        try:
            self._index = Index.open(self._redis_url, self.name)
        except IndexMissing:
            return
        encoder = self._encoder
        self._index.layout.require(
            encoder.layout, f"the index {self.name}"
        )  # before the work, not after the first batch
        self._index.require_fingerprint(encoder.fingerprint)

    @property
    def target(self) -> str | None:
        """See `hashgrain.client.sinks.sink.Sink`: an index that was dropped and made again is another one."""
        return f"{self.name}@{self._index.incarnation}" if self._index is not None else None

    def write(self, ids: list[ItemId], codes: HashCodes, payloads: list[dict[str, Any]]) -> None:
        """See `hashgrain.client.sinks.sink.Sink`."""
        kept = [payload or None for payload in payloads]  # an empty payload would be stored all the same
        self.require_index().add(ids, codes, payloads=kept, fingerprint=self._encoder.fingerprint)

    def require_index(self) -> Index:
        """The index; it is created when it is missing. Several processes may do so at a time."""
        from hashgrain.codes.errors import IndexExists
        from hashgrain.indexer import Index

        if self._index is None:
            encoder = self._encoder
            try:
                self._index = Index.create(self._redis_url, self.name, encoder.layout, fingerprint=encoder.fingerprint)
            except IndexExists:
                self._open()  # another process was faster
                if self._index is None:
                    raise
        return self._index

    def reconcile(self, ledger: Ledger) -> str | None:
        """Have everything sent again where the index holds less than the ledger says.

        Returns:
            What was found, or None where nothing is missing.
        """
        if self._index is None or self.target is None:
            return None
        noted, held = ledger.kept_in(self.target), len(self._index)
        if held >= noted:
            return None
        ledger.forget_target(self.target)
        return (
            f"the index {self.name} holds {held:,} items and had acknowledged {noted:,}: it has lost some, or they "
            "were deleted; all are sent to it again, by the codes that the ledger knows"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._index is not None:
            self._index.close()
