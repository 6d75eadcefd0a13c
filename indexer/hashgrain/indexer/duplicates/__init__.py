"""Near duplicates: all items of an index that lie within some bits of each other, in bounded memory.

Three steps. The buckets are read once, and their codes kept in a temporary file, as *segments* (see `gathering`,
`segments`): what is written to the index later changes nothing any more. Then every pair of segments that can hold near
codes is gone through (see `loops.joining`, `sweeping`). Last, what was found is named (see `naming`), group by group
(`groups`) or pair by pair (`pairs`).
"""

from hashgrain.indexer.duplicates.groups import DuplicateGroup, duplicate_groups
from hashgrain.indexer.duplicates.pairs import NearPairs, near_pairs

__all__ = ["DuplicateGroup", "NearPairs", "duplicate_groups", "near_pairs"]
