"""The scripts in `scripts/*.lua`: each works on the keys of one shard, atomically."""

from __future__ import annotations

from functools import cache
from importlib import resources

_STAND_ON = {
    "add": ("items", "chosen"),
    "delete": ("items",),
    "fetch": ("items",),
    "merge": ("items", "chosen"),
    "payloads": ("items",),
    "split": ("items",),
    "vacate": ("items",),
    "widen": ("items",),
    "peek": ("items", "looks"),
    "mend": ("items", "looks"),
}


@cache
def script(name: str) -> str:
    """The text of `scripts/<name>.lua`, behind the text of those whose functions it uses."""
    return "\n".join(_read(part) for part in (*_STAND_ON.get(name, ()), name))


def _read(name: str) -> str:
    path = resources.files("hashgrain.indexer.stored") / "scripts" / f"{name}.lua"
    return path.read_text("utf-8")  # inside Triton, Python's default encoding is ASCII
