"""The scripts: every slot that one uses is explained at its head, and the server accepts each."""

from __future__ import annotations

import re
from importlib import resources

import pytest
import redis

from hashgrain.indexer.lua import script

NAMES = sorted(path.name.removesuffix(".lua") for path in (resources.files("hashgrain.indexer") / "scripts").iterdir())


@pytest.mark.parametrize("name", [name for name in NAMES if name != "buckets"])
def test_the_server_compiles_every_script(redis_url: str, name: str) -> None:
    assert redis.Redis.from_url(redis_url).script_load(script(name))


@pytest.mark.parametrize("name", NAMES)
def test_every_slot_that_a_script_uses_is_explained_at_its_head(name: str) -> None:
    text = (resources.files("hashgrain.indexer") / "scripts" / f"{name}.lua").read_text()
    head = "\n".join(line for line in text.splitlines() if line.startswith("--"))
    body = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    assert "KEYS" in head
    for slot in set(re.findall(r"(?:KEYS|ARGV)\[\d+\]", body)):
        kind = slot.partition("[")[0]
        assert slot in head or (kind == "KEYS" and "KEYS: the shard's seven fixed keys" in head), slot
