"""`hashgrain index acl`: the command that it prints makes a user on a real server who may do its role's work."""

from __future__ import annotations

import pytest
import redis

from hashgrain.cli.main import main
from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import StoreUnavailable
from hashgrain.indexer import Index
from random_codes import random_codes

LAYOUT = CodeLayout(16, 64)


def test_what_it_prints_is_given_to_the_server_as_it_stands(redis_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["index", "acl", "x", "--role", "reader"])
    assert not exited.value.code
    words = capsys.readouterr().out.replace("PASSWORD", "secret").split()
    assert words[:6] == ["ACL", "SETUSER", "x-reader", "reset", "on", ">secret"]
    client = redis.Redis.from_url(redis_url)
    client.execute_command(*words)
    try:
        Index.create(redis_url, "x", LAYOUT).close()
        with Index.open(redis_url.replace("unix://", "unix://x-reader:secret@"), "x") as index:
            assert len(index.search(random_codes(1, LAYOUT))) == 1
            with pytest.raises(StoreUnavailable, match="widen its ACL"):
                index.add([1], random_codes(1, LAYOUT))
    finally:
        client.execute_command("ACL", "DELUSER", "x-reader")
