"""Where things are kept that are installed or downloaded once per user: the embedded Triton, archives of data sets."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """The user's cache folder: $HASHGRAIN_CACHE, else $XDG_CACHE_HOME/hashgrain, else ~/.cache/hashgrain."""
    if own := os.environ.get("HASHGRAIN_CACHE"):
        return Path(own).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "hashgrain"
