"""The scripts: every slot that one uses is explained at its head, and the server accepts each."""

from __future__ import annotations

import re
from importlib import resources

import pytest
import redis

from hashgrain.indexer.stored.lua import script

SCRIPTS = resources.files("hashgrain.indexer.stored") / "scripts"
NAMES = sorted(path.name.removesuffix(".lua") for path in SCRIPTS.iterdir())


@pytest.mark.parametrize("name", [name for name in NAMES if name != "items"])
def test_the_server_compiles_every_script(redis_url: str, name: str) -> None:
    assert redis.Redis.from_url(redis_url).script_load(script(name))


@pytest.mark.parametrize("name", NAMES)
def test_every_slot_that_a_script_uses_is_explained_at_its_head(name: str) -> None:
    """Or at the head of a script that it names, of the functions that it stands on."""
    head, body = parts(name)
    assert "KEYS" in head
    explained = head + "".join(parts(other)[0] for other in re.findall(r"see (\w+)\.lua", head))
    for slot in set(re.findall(r"(?:KEYS|ARGV)\[\d+\]", body)):
        kind = slot.partition("[")[0]
        assert slot in explained or (kind == "KEYS" and re.search("KEYS: the shard's (five )?fixed keys", head)), slot


def parts(name: str) -> tuple[str, str]:
    """The comments of a script, and the rest."""
    lines = (SCRIPTS / f"{name}.lua").read_text().splitlines()
    return tuple("\n".join(line for line in lines if line.startswith("--") == comment) for comment in (True, False))  # type: ignore[return-value]
