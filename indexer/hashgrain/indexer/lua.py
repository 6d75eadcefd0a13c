"""The scripts in `scripts/*.lua`: each changes the keys of one shard atomically."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def script(name: str) -> str:
    """The text of `scripts/<name>.lua`; writing scripts stand on the functions of `buckets.lua`."""
    text = _read(name)
    return _read("buckets") + "\n" + text if name in ("add", "delete") else text


def _read(name: str) -> str:
    path = resources.files("hashgrain.indexer") / "scripts" / f"{name}.lua"
    return path.read_text("utf-8")  # inside Triton, Python's default encoding is ASCII
