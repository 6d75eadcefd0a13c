"""The two-stage index in Redis: packed buckets of codes, each around a centroid, that split as the index grows."""

from hashgrain.indexer.async_index import AsyncIndex
from hashgrain.indexer.check import CheckReport, Finding, check_index
from hashgrain.indexer.duplicates import DuplicateGroup, NearPairs
from hashgrain.indexer.index import Index
from hashgrain.indexer.keeping.cache_size import CacheStats
from hashgrain.indexer.managing.health import BitHealth, IndexHealth
from hashgrain.indexer.managing.lifecycle import drop_index, list_indexes
from hashgrain.indexer.managing.paging import IdPage
from hashgrain.indexer.managing.shadow import ShadowStats
from hashgrain.indexer.managing.stored_items import StoredItems
from hashgrain.indexer.reference import ReferenceIndex
from hashgrain.indexer.request import Rank, SearchOptions, SearchRequest
from hashgrain.indexer.results import Hit, IndexStats, Written
from hashgrain.indexer.searching.explaining import Explanation, Probe, Step
from hashgrain.indexer.stored.fields import Kind
from hashgrain.indexer.stored.filters import Filter
from hashgrain.indexer.stored.generations import Generations
from hashgrain.indexer.stored.identifiers import ItemId
from hashgrain.indexer.switching import (
    Generation,
    create_generation,
    list_generations,
    roll_back,
    switch_generation,
)
from hashgrain.indexer.wire.connection import Timeouts

__all__ = [
    "AsyncIndex",
    "BitHealth",
    "CacheStats",
    "CheckReport",
    "DuplicateGroup",
    "Explanation",
    "Filter",
    "Finding",
    "Generation",
    "Generations",
    "Hit",
    "IdPage",
    "Index",
    "IndexHealth",
    "IndexStats",
    "ItemId",
    "Kind",
    "NearPairs",
    "Probe",
    "Rank",
    "ReferenceIndex",
    "SearchOptions",
    "SearchRequest",
    "ShadowStats",
    "Step",
    "StoredItems",
    "Timeouts",
    "Written",
    "check_index",
    "create_generation",
    "drop_index",
    "list_generations",
    "list_indexes",
    "roll_back",
    "switch_generation",
]
