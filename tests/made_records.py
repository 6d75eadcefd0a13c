"""Records made by hand, for tests."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.stored.records import Records


def records_of(
    bucket: NDArray[np.int64],
    handle: NDArray[np.int64],
    coarse: NDArray[np.unsignedinteger],
    fine: NDArray[np.uint8],
    buckets: int = 1,
) -> Records:
    """Records of the buckets that `bucket` names, ascending, and of as many as `buckets` says, if that is more."""
    return Records(np.bincount(bucket, minlength=buckets).astype(np.int64), handle, coarse, fine)
