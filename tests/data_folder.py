"""Where tests find the real data sets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def find_data(name: str) -> Path:
    """The folder of a data set, or a skip.

    It is looked for below $HASHGRAIN_DATA where that is set, else below data in the checkout and ../shared/data.
    """
    own = os.environ.get("HASHGRAIN_DATA")
    roots = [Path(own)] if own else [ROOT / "data", ROOT.parent / "shared" / "data"]
    for root in roots:
        if (root / name).is_dir():
            return root / name
    looked = " or ".join(map(str, roots))
    pytest.skip(f"no {name} in {looked}: set HASHGRAIN_DATA to a folder that holds {name}/*.parquet")
