"""`Index`: items under their ids, found again by their codes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

from hashgrain.codes.errors import FingerprintMismatch, InvalidInput
from hashgrain.codes.layout import CodeLayout, HashCodes
from hashgrain.indexer.adding.bulk import load_collection
from hashgrain.indexer.adding.collection import Collection
from hashgrain.indexer.adding.writing import add_items, delete_ids
from hashgrain.indexer.duplicates import DuplicateGroup, NearPairs, duplicate_groups, near_pairs
from hashgrain.indexer.keeping.cache_size import CacheStats, require_cache_bytes, require_max_staleness
from hashgrain.indexer.managing.fetching import fetch_ids
from hashgrain.indexer.managing.health import IndexHealth, index_health
from hashgrain.indexer.managing.lifecycle import create_shards, drop_shards, open_shards, require_new
from hashgrain.indexer.managing.listing import for_good, listed
from hashgrain.indexer.managing.opened import Followed, Opened
from hashgrain.indexer.managing.paging import IdPage, page_of_ids
from hashgrain.indexer.managing.payload_writing import set_payloads
from hashgrain.indexer.managing.shadow import Shadow, ShadowStats
from hashgrain.indexer.managing.spreading import shards_for
from hashgrain.indexer.managing.statistics import index_stats
from hashgrain.indexer.managing.stored_items import StoredItems
from hashgrain.indexer.request import Rank, SearchRequest
from hashgrain.indexer.results import Hit, IndexStats, Written
from hashgrain.indexer.searching.queries import require_logits
from hashgrain.indexer.stored.fields import Fields, Kind, fields_of
from hashgrain.indexer.stored.filters import Filter
from hashgrain.indexer.stored.header import BUCKET_ITEMS
from hashgrain.indexer.stored.identifiers import ItemId
from hashgrain.indexer.stored.shard import Shard
from hashgrain.indexer.wire.connection import DEFAULT_TIMEOUTS, Connection, Timeouts


class Index:
    """An index in Redis; make one with `Index.create` or `Index.open`.

    Every process that opens an index sees what any other has written as soon as that call returned. An object may be
    shared between threads. Use it as a context manager, or `close` it, to give its connections back.
    """

    def __init__(
        self,
        connection: Connection,
        name: str,
        cache_bytes: int | None = None,
        max_staleness: float = 0.0,
        shadow: float | None = None,
    ) -> None:
        self._shadow = None if shadow is None else Shadow(shadow)
        self._connection = connection
        self._name = name
        self._meant = Followed(
            connection, name, lambda: Opened.of(open_shards(connection, name), cache_bytes, max_staleness)
        )
        self._made_for = self._meant.now.fingerprint

    @classmethod
    def create(
        cls,
        redis_url: str,
        name: str,
        layout: CodeLayout,
        *,
        fingerprint: str | None = None,
        shards: int | None = None,
        bucket_items: int = BUCKET_ITEMS,
        fields: Mapping[str, Kind] | None = None,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        cache_bytes: int | None = None,
        max_staleness: float = 0.0,
    ) -> Index:
        """Create an empty index and open it.

        Args:
            redis_url: `redis://`, `rediss://` or `unix://` address, or one of a cluster or of Sentinels (see
                `addresses`).
            name: letters, digits, '.', '_' and '-'. (`create_generation` makes further generations of it.)
            layout: the lengths of the codes it will hold.
            fingerprint: of the model that makes them; codes that come with another will be refused.
            shards: into how many parts, each atomic by itself, the items are divided. Without it 1; in a cluster as
                many as lie evenly on its servers (see `spreading`).
            bucket_items: how many items a bucket may hold before it is split in two. Smaller buckets are compared at a
                finer grain and cost more memory and commands.
            fields: name and kind (`keyword`, `number`, `integer`, `boolean`) of the keys of payloads that searches may
                filter by; see `fields` for what they cost. They stay what they are; an item whose payload has another
                kind of value under such a key is refused.
            timeouts: deadlines of every call.
            cache_bytes, max_staleness: see `open`.

        Raises:
            InvalidInput, IndexExists, IndexCorrupt, StoreUnavailable, StoreFull.
            StoreError: see `open`.
        """
        connection = Connection.to(redis_url, timeouts)

        def create() -> None:
            stored = require_new(connection, name)
            number = shards_for(connection, stored, shards)
            create_shards(connection, stored, layout, fingerprint, number, bucket_items, declared)

        declared = Fields.of(fields)
        return cls._found(connection, name, create, cache_bytes, max_staleness)

    @classmethod
    def open(
        cls,
        redis_url: str,
        name: str,
        *,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        cache_bytes: int | None = None,
        max_staleness: float = 0.0,
        shadow: float | None = None,
    ) -> Index:
        """Open an index that is there.

        Args:
            redis_url, timeouts: see `create`.
            name: of the index. Where it has generations, the object goes over to another one as soon as that becomes
                the live one; "photos@2" means generation 2 for good, and one that is no longer live can only be read.
            cache_bytes: keep buckets that searches have read, up to so many bytes: the next search that needs them
                waits for one short answer only, and for names where ids are strings that it has not seen. Answers stay
                what they are without: Redis tells of every change over one more connection (see `hot_buckets`).
            max_staleness: seconds. At 0 every search sees all writes that were acknowledged before it began. Above
                0 it may miss those of the last so many seconds, though it rarely does, since what Redis has told by
                then counts; a search that finds all it needs kept then asks Redis nothing. Needs `cache_bytes`.
            shadow: share of the queries, above 0, that are searched for exhaustively in the background, too, to know
                the recall of the answers: see `shadow_stats`. Each pass reads the whole index in small steps.

        Raises:
            InvalidInput, IndexMissing, SchemaMismatch, IndexCorrupt, StoreUnavailable.
            StoreError: `cache_bytes` is given, and the server cannot tell of changes.
        """
        connection = Connection.to(redis_url, timeouts)
        return cls._found(connection, name, lambda: None, cache_bytes, max_staleness, shadow)

    @classmethod
    def _found(
        cls,
        connection: Connection,
        name: str,
        make: Callable[[], None],
        cache_bytes: int | None,
        max_staleness: float,
        shadow: float | None = None,
    ) -> Index:
        require_cache_bytes(cache_bytes)
        require_max_staleness(max_staleness, cache_bytes)
        try:
            connection.require_no_eviction()
            make()
            return cls(connection, name, cache_bytes, max_staleness, shadow)
        except BaseException:
            connection.close()
            raise

    @property
    def name(self) -> str:
        """The index's name."""
        return self._name

    @property
    def layout(self) -> CodeLayout:
        """The lengths of the codes that it holds."""
        layout = self._meant.now.layout
        return CodeLayout(layout.coarse_bits, layout.fine_bits)

    @property
    def fields(self) -> Mapping[str, Kind]:
        """The fields that searches may filter by, and their kinds."""
        return dict(fields_of(self._meant.now.layout).kinds)

    @property
    def fingerprint(self) -> str | None:
        """Of the model whose codes it holds, or None where it was created without."""
        return self._meant.now.fingerprint

    @property
    def shards(self) -> int:
        """Into how many parts its items are divided."""
        return len(self._shards)

    @property
    def incarnation(self) -> str:
        """A random number in hexadecimal, drawn at creation: a later index of the same name has another."""
        return f"{self._shards[0].header.incarnation:010x}"

    @property
    def _shards(self) -> Sequence[Shard]:
        return self._meant.now.shards

    def add(
        self,
        ids: Iterable[ItemId],
        codes: HashCodes,
        payloads: Sequence[Mapping[str, Any] | None] | None = None,
        fingerprint: str | None = None,
    ) -> Written:
        """Write items; one whose id is there already is replaced as a whole, payload included.

        Items are written in batches of up to 50 of one shard, each batch wholly or not at all. Where an id
        comes more than once, the last one counts. A call that failed may be repeated: what it wrote is replaced by
        the same.

        Args:
            ids: N strings or integers (64 bits); "5" and 5 are two different ids.
            codes: N codes; logits are not stored.
            payloads: one JSON object (or None) per item.
            fingerprint: of the model that made the codes; checked against the index's.

        Raises:
            InvalidInput, LayoutMismatch, FingerprintMismatch: nothing was written.
            StoreFull: `maxmemory` is reached; the message says how many items were written before.
            IndexMissing, IndexCorrupt, StoreUnavailable, StoreError.
        """
        ids = _lasting(ids)

        def write(opened: Opened) -> Written:
            self._require_codes(codes, fingerprint)
            return add_items(opened.shards, Collection.of(ids, codes, payloads).with_fields(fields_of(opened.layout)))

        return self._meant.run(write)

    def load(
        self,
        ids: Iterable[ItemId],
        codes: HashCodes,
        payloads: Sequence[Mapping[str, Any] | None] | None = None,
        fingerprint: str | None = None,
    ) -> int:
        """Load a whole collection into this index, which must be empty: many times as fast as `add`, and searches find
        more in as many candidates, since the buckets are made for the collection. Where an id comes more than once,
        the last one counts.

        While it goes on nobody else can open, search or write the index. A call that fails leaves it empty; one that
        is cut short (the process is killed) leaves an index that can only be dropped.

        Args:
            ids: N strings or integers (64 bits); integers are loaded the fastest as a NumPy array.
            codes: N codes; logits are not stored.
            payloads: one JSON object (or None) per item.
            fingerprint: of the model that made the codes; checked against the index's.

        Returns:
            How many items the index holds now.

        Raises:
            InvalidInput: also where the index holds items already.
            LayoutMismatch, FingerprintMismatch, StoreFull, IndexMissing, StoreUnavailable, StoreError: nothing was
                loaded, or the message says what to do.
        """
        ids = _lasting(ids)

        def load(opened: Opened) -> int:
            self._require_codes(codes, fingerprint)
            items = Collection.of(ids, codes, payloads).with_fields(fields_of(opened.layout))
            load_collection(opened.shards, items)
            return len(items)

        return self._meant.run(load)

    def delete(self, ids: Iterable[ItemId]) -> int:
        """Delete items, in batches like `add`; ids that are not there are passed over.

        Works when `maxmemory` is reached, too.

        Returns:
            How many items were there.

        Raises:
            InvalidInput, IndexMissing, IndexCorrupt, StoreUnavailable, StoreError.
        """
        ids = _lasting(ids)
        return self._meant.run(lambda opened: delete_ids(opened.shards, ids))

    def get(self, ids: Iterable[ItemId]) -> StoredItems:
        """Read items by their ids: codes and payloads, of each item of one moment.

        Returns:
            Those that are there, in the order of the ids; of an id that comes more than once, one.

        Raises:
            InvalidInput, IndexMissing, IndexCorrupt, StoreUnavailable.
        """
        ids = _lasting(ids)
        return self._meant.run(lambda opened: StoredItems(fetch_ids(opened.shards, ids)))

    def ids(self, limit: int = 1000, cursor: str | None = None) -> IdPage:
        """List ids, `limit` of them at most, from the first or from where another page ended.

        Go on with the `cursor` of each page until that is None: then every item that was there all the time has come
        exactly once, whatever was written meanwhile (splits included) and however long it took; an item that was added
        or deleted meanwhile may have come or not, and none came twice. A cursor is a string of its own, of use to any
        process; it belongs to one generation of the index.

        Args:
            limit: 1 to 100,000.
            cursor: of the page before.

        Raises:
            InvalidInput: also where the index was dropped and made anew, or switched, since the cursor was given.
            IndexMissing, IndexCorrupt, StoreUnavailable.
        """
        return self._meant.run(lambda opened: page_of_ids(opened.shards, limit, cursor))

    def items(self) -> Iterator[StoredItems]:
        """All items, some hundreds at a time, in bounded memory; the same is guaranteed as for `ids`.

        Each comes with codes and payload of one moment. Where the index switches to another generation meanwhile, the
        list goes on with the one that it began with.

        Raises:
            IndexMissing, IndexCorrupt, StoreUnavailable: while it is gone through.
        """
        return map(StoredItems, self._meant.run(lambda opened: listed(for_good(opened.shards))))

    def add_stored(self, items: StoredItems) -> Written:
        """Write items that another index holds; see `add`.

        Raises:
            LayoutMismatch, StoreFull, IndexMissing, IndexCorrupt, StoreUnavailable, StoreError.
        """
        items.codes.check(self.layout, f"index {self._name!r}")
        return self._meant.run(
            lambda opened: add_items(opened.shards, items.stored.with_fields(fields_of(opened.layout)))
        )

    def load_stored(self, items: StoredItems) -> None:
        """Load items that another index holds into this one, which must be empty; see `load`.

        Raises:
            InvalidInput, LayoutMismatch, StoreFull, IndexMissing, StoreUnavailable, StoreError.
        """
        items.codes.check(self.layout, f"index {self._name!r}")
        self._meant.run(
            lambda opened: load_collection(opened.shards, items.stored.with_fields(fields_of(opened.layout)))
        )

    def set_payloads(self, ids: Iterable[ItemId], payloads: Sequence[Mapping[str, Any] | None]) -> list[ItemId]:
        """Give items other payloads; their codes stay. Batch by batch, each wholly or not at all.

        Args:
            ids: N ids; where one comes more than once, the last counts.
            payloads: one JSON object per id, of 1 MiB at most; None takes the item's payload away.

        Returns:
            Those of the ids that are not there; they are passed over.

        Raises:
            InvalidInput: nothing was written.
            StoreFull, IndexMissing, IndexCorrupt, StoreUnavailable: batches before may have been.
        """
        ids = _lasting(ids)
        return self._meant.run(lambda opened: set_payloads(opened.shards, ids, payloads))

    def search(
        self,
        codes: HashCodes,
        k: int = 10,
        *,
        rank: Rank = "total",
        candidates: int | None = None,
        probes: int | None = None,
        radius: int | None = None,
        within: int | None = None,
        exact: bool = False,
        refine: int | None = None,
        deadline: float | None = None,
        payloads: bool = False,
        explain: bool = False,
        filter: Mapping[str, Any] | Filter | None = None,
        collapse: int | None = None,
        fingerprint: str | None = None,
    ) -> list[Hit]:
        """Find the k nearest items of every query.

        Stage one takes buckets, those whose centroids are nearest first, until the budget is met; stage two orders
        their records by the distance asked for, then by fine distance, then by handle (see `handles`; integer ids
        ascend).

        Args:
            codes: Q queries.
            k: how many neighbours.
            rank: `total` (fine + coarse Hamming distance), `fine` or `coarse`.
            candidates: budget: take buckets until they hold this many items (the default: 4096, at least k).
            probes: budget: take this many buckets.
            radius: budget: take all buckets that can hold an item whose coarse code differs in this many bits or less;
                answers may be farther.
            within: answer with items at this distance or less only, and miss none (the k nearest, if they are more):
                takes all buckets that can hold one.
            exact: take all buckets, in one reading.
            refine: order the best R, k or more, again by the query's margins, the sum of |logit| over the bits that
                differ and that the ranking counts (see `refining`; `total` needs the logits of both codes). Equal
                sums keep their order; the distances of the answer stay Hamming distances.
            deadline: seconds, after which the best so far comes back as a partial answer (an empty one, where nothing
                was read for a query yet); buckets are read in growing steps for it. Without it each reading may take
                as long as `timeouts` say.
            payloads: give the items' payloads too. A payload is of the codes that were compared, or newer: of a later
                write that gave the item the very same codes.
            filter: answer with items that match it only, as `{"tenant": "acme", "price": {"lt": 20}}`; see `filters`.
                All budgets count such items only, and the default one is 512 of them (at least k).
            collapse: of items that lie within this many bits of each other, by the distance of the ranking, only the
                best is answered with: candidates are gone through in their order, and one is left out that is so near
                to a better one which was not. It comes before `refine`. Where fewer than k are left, the search is done
                again with four times as many `candidates`, until there are k or all buckets were read; the other
                budgets are kept to.
            explain: give each `Hit` an `Explanation` of how it came about; takes longer.
            fingerprint: of the model that made the codes; checked against the index's.

        Returns:
            One `Hit` per query, in order.

        Raises:
            InvalidInput, LayoutMismatch, FingerprintMismatch, IndexMissing, IndexCorrupt.
            StoreUnavailable: also where the deadline passed before there was any answer to any query.
        """
        request = SearchRequest(
            k, rank, candidates, probes, radius, exact, payloads, within, refine, deadline, explain, filter, collapse
        )
        return self.answer(codes, request, fingerprint)

    def require_queries(self, codes: HashCodes, request: SearchRequest, fingerprint: str | None) -> None:
        """Refuse queries that `answer` cannot answer.

        Raises:
            InvalidInput, LayoutMismatch, FingerprintMismatch: see `search`.
        """
        self._require_codes(codes, fingerprint)
        require_logits(codes, request)
        if request.by is not None:
            request.by.require(fields_of(self._meant.now.layout), f"index {self._name!r}")

    def answer(self, codes: HashCodes, request: SearchRequest, fingerprint: str | None = None) -> list[Hit]:
        """What `search` does with a request that has been made; see there."""

        def find(opened: Opened) -> list[Hit]:
            self.require_queries(codes, request, fingerprint)
            hits = opened.searcher.search(codes, request)
            if self._shadow is not None:
                self._shadow.offer(opened.shards, codes, request, hits)
            return hits

        return self._meant.run(find)

    def stats(self) -> IndexStats:
        """The index in figures; read bucket by bucket, so they may be of slightly different moments.

        Raises:
            IndexMissing, IndexCorrupt, StoreUnavailable.
        """
        return self._meant.run(lambda opened: index_stats(opened.shards))

    def health(self, items: int = 20_000, queries: int = 100, k: int = 10, seed: int = 0) -> IndexHealth:
        """How well buckets, codes and the default budget do: measured on a sample, while the index is in use.

        The queries are searched for exhaustively, too, each time through the whole index.

        Args:
            items: sample the codes of so many.
            queries: search for so many of them, by their own codes.
            k: neighbours of each.
            seed: of what is drawn.

        Raises:
            InvalidInput: a number is below 1, or the index is empty.
            IndexMissing, IndexCorrupt, StoreUnavailable.
        """
        return self._meant.run(
            lambda opened: index_health(
                opened.shards, opened.searcher.search, items=items, queries=queries, k=k, seed=seed
            )
        )

    def duplicates(
        self, radius: int, rank: Rank = "total", *, progress: Callable[[int, int], None] | None = None
    ) -> Iterator[DuplicateGroup]:
        """Find the groups of near duplicates: items that are connected by steps of `radius` bits or less.

        So items of one group may be farther apart, where others lie between them; items of two groups never are within
        the radius. Of all pairs of items that stay as they are while the index is read, none is missed; an item that is
        added, replaced or deleted meanwhile is looked at as it was before or after, or not at all. The index is read
        once, at the beginning, into a temporary file (see `tempfile`) of at most 30 bytes per item, and 8 more for each
        64 bits of code beyond the first 64. What is written then changes nothing, except that items with string ids
        that are deleted before their group comes are left out. Memory holds 9 bytes per item, some MB, and the group
        that is handed over.

        Args:
            radius: 0 (the same codes) or more, in bits.
            rank: whose distance it is: `total` (fine + coarse Hamming distance), `fine` or `coarse`.
            progress: told how many steps of how many are done.

        Returns:
            The groups, in no order that would mean something; nothing is read before the first is asked for.

        Raises:
            InvalidInput: the radius is below 0, or every item lies within it.
            HashgrainError: the disk has no room for the file.
            IndexMissing, IndexCorrupt, StoreUnavailable: also while the groups are gone through.
        """
        return self._meant.run(lambda opened: duplicate_groups(opened.shards, radius, rank, progress))

    def duplicate_pairs(
        self, radius: int, rank: Rank = "total", *, progress: Callable[[int, int], None] | None = None
    ) -> Iterator[NearPairs]:
        """Find all pairs of items within `radius` bits of each other, each once, some thousands at a time.

        Arguments, errors and guarantees are those of `duplicates`. Memory holds 9 bytes per item until all are read,
        then some MB, however many pairs there are.
        """
        return self._meant.run(lambda opened: near_pairs(opened.shards, radius, rank, progress))

    def cache_stats(self) -> CacheStats | None:
        """What this object keeps of the index, in figures; None where it was opened without `cache_bytes`."""
        hot = self._meant.now.hot
        return None if hot is None else hot.stats()

    def shadow_stats(self) -> ShadowStats | None:
        """The recall of a sample of the searches, so far; None where the index was opened without `shadow`."""
        return None if self._shadow is None else self._shadow.stats()

    def drop(self) -> None:
        """Delete the index with all its items, in all generations. Every object of the index is of no use then.

        An index that was opened as "photos@2" is that generation alone.

        Raises:
            IndexMissing, StoreUnavailable.
            InvalidInput: it was opened as a generation, and that is the live one.
        """
        len(self)  # not somebody else's index that was created under this name since
        drop_shards(self._connection, self._name)

    def require_fingerprint(self, fingerprint: str | None) -> None:
        """Refuse the codes of another model; None, on either side, passes.

        Codes without a fingerprint are taken for those of the model whose codes the index held when it was opened; they
        are refused once it has switched to a generation of another model.

        Raises:
            FingerprintMismatch: the index was built with codes of another model.
        """
        held = self.fingerprint
        of = fingerprint or self._made_for
        if None in (held, of) or of == held:
            return
        got = f"got codes of model {fingerprint}"
        if fingerprint is None:
            got = f"it was opened when it held those of model {self._made_for}, and was switched since: open it anew"
        raise FingerprintMismatch(
            f"index {self._name!r} holds codes of model {held}, {got}; their distances mean nothing: encode with the "
            "model it was built with, or build another index"
        )

    def close(self) -> None:
        """Close the connections, and let go of kept buckets; they open again when the index is used."""
        if self._shadow is not None:
            self._shadow.close()
        self._meant.now.close()
        self._connection.close()

    def __len__(self) -> int:
        """How many items the index holds."""
        return self._meant.run(lambda opened: sum(shard.count() for shard in opened.shards))

    def __bool__(self) -> bool:
        """True: an index is something, even when it is empty (and asking costs no call)."""
        return True

    def __enter__(self) -> Index:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Index({self._name!r}, {self.layout}, at {self._connection.address})"

    def _require_codes(self, codes: HashCodes, fingerprint: str | None) -> None:
        if not isinstance(codes, HashCodes):
            raise InvalidInput(
                f"codes must be HashCodes, got {type(codes).__name__}; make them with HashCodes(coarse, fine)"
            )
        codes.check(self._meant.now.layout, f"index {self._name!r}")
        self.require_fingerprint(fingerprint)


def _lasting(ids: Iterable[ItemId]) -> Iterable[ItemId]:
    """Ids that can be gone through again, should another generation become the live one meanwhile."""
    return list(ids) if isinstance(ids, Iterator) else ids
