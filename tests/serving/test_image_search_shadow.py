"""The shadow sample of image_search, as Triton's metrics tell of it on a real server."""

from __future__ import annotations

import re
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from hashgrain.client import HashEncoder
from hashgrain.codes import hamming
from hashgrain.indexer import Index
from hashgrain.runtime import servers
from image_search_client import by_json
from pictures import arrays
from random_codes import random_codes
from tiny_model import add_image_search, write_tiny_repository

ITEMS, ASKED, K = 3000, 24, 10


def told(address: str) -> dict[str, float]:
    """The sums over instances of what the metrics say of the index."""
    with urllib.request.urlopen(address, timeout=30) as reply:
        text = reply.read().decode()
    found: dict[str, float] = {}
    for name, value in re.findall(r'^(hashgrain_shadow_\w+)\{[^}]*index="crowd"[^}]*\} (\S+)', text, re.MULTILINE):
        found[name] = found.get(name, 0) + float(value)
    return found


def test_the_metrics_tell_the_recall_that_brute_force_finds(tmp_path: Path) -> None:
    write_tiny_repository(tmp_path / "models")
    config = add_image_search(tmp_path / "models") / "config.pbtxt"
    off = 'key: "shadow" value: { string_value: "0" }'
    assert off in config.read_text()
    config.write_text(config.read_text().replace(off, off.replace('"0"', '"1"')))
    pictures = arrays(ASKED)
    try:
        running = servers.start(servers.StartSettings(home=tmp_path / "home", model_repository=tmp_path / "models"))
        assert running.triton is not None, running.no_triton
        with HashEncoder(running.triton.address) as encoder:
            queries, layout, fingerprint = encoder.encode(pictures), encoder.layout, encoder.fingerprint
        items = random_codes(ITEMS, layout, flips=0.5)
        with Index.create(running.redis_address, "crowd", layout, fingerprint=fingerprint) as index:
            index.load(np.arange(ITEMS), items)
        every = hamming(queries.fine, items.fine).astype(int) + hamming(queries.coarse, items.coarse)
        kth = np.sort(every, axis=1)[:, K - 1 : K]
        asking = {"index": "crowd", "k": K, "probes": 2}
        half = ASKED // 2
        by_codes = {"coarse_code": queries.coarse[half:], "fine_code": queries.fine[half:]}
        answers = [by_json(running.triton.http, inputs, asking) for inputs in ({"image": pictures[:half]}, by_codes)]
        distances = np.concatenate([answer["distances"] for answer in answers])
        expected = float((distances <= kth).sum()) / K
        assert 0.05 < expected / ASKED < 0.95
        last = time.monotonic() + 60
        while (now := told(running.triton.metrics)).get("hashgrain_shadow_queries", 0) < ASKED:
            assert time.monotonic() < last, now
            by_json(running.triton.http, {"image": pictures[:1]}, {"index": "crowd", "exact": True})
            time.sleep(0.02)
    finally:
        servers.stop(tmp_path / "home")
    assert now["hashgrain_shadow_queries"] == ASKED
    assert now["hashgrain_shadow_recall_sum"] == pytest.approx(expected)
    assert now["hashgrain_shadow_dropped"] == now["hashgrain_shadow_failed"] == 0
