"""Triton's response cache does not keep to what is asked for: who relies on it is told, instead of going without."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest

from hashgrain.client import AsyncHashEncoder, HashEncoder
from hashgrain.codes.contract import ENCODER_MODEL
from hashgrain.codes.errors import ContractViolation
from hashgrain.indexer import Index
from hashgrain.runtime import servers
from hashgrain.runtime.triton_env import ensure_environment
from image_search_client import RefusedError, by_json
from pictures import arrays
from tiny_model import add_image_search, write_tiny_repository


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.RunningServers]:
    """Servers whose hash_encoder has `response_cache` on."""
    folder = tmp_path_factory.mktemp("cached")
    write_tiny_repository(folder / "models")
    add_image_search(folder / "models")
    config = folder / "models" / ENCODER_MODEL / "config.pbtxt"
    config.write_text(config.read_text() + "response_cache { enable: true }\n")
    cache = ensure_environment(print).caches
    options = f"--cache-directory={cache}", "--cache-config=local,size=1048576"
    settings = servers.StartSettings(folder / "home", folder / "models", triton_options=options)
    try:
        yield servers.start(settings)
    finally:
        servers.stop(settings.home)


def test_logits_that_a_kept_answer_lacks_are_missed_by_name(cached: servers.RunningServers) -> None:
    assert cached.triton is not None
    lacks = pytest.raises(ContractViolation, match=r"answered without coarse_logits.*Take response_cache out of")
    for seed, address in enumerate((cached.triton.address, cached.triton.http)):
        picture = arrays(1, seed=seed)
        with HashEncoder(address) as encoder:
            codes = encoder.encode(picture)
            assert np.array_equal(encoder.encode(picture).fine, codes.fine)
            with lacks:
                encoder.encode(picture, logits="coarse")

    async def ask() -> None:
        async with AsyncHashEncoder(cached.triton_address) as encoder:
            await encoder.encode(arrays(1), logits=True)

    with lacks:
        asyncio.run(ask())


def test_image_search_says_so_to_its_caller(cached: servers.RunningServers) -> None:
    assert cached.triton is not None
    with (
        HashEncoder(cached.triton_address) as encoder,
        Index.create(cached.redis_address, "photos", encoder.layout, fingerprint=encoder.fingerprint) as index,
    ):
        index.add(range(5), encoder.encode(arrays(5)))
    picture = {"image": arrays(1, seed=9)}
    assert by_json(cached.triton.http, picture, {"k": 5})["ids"].shape == (1, 5)
    with pytest.raises(RefusedError, match="hash_encoder answered without coarse_logits.*take response_cache out"):
        by_json(cached.triton.http, picture, {"k": 5, "refine": 5})
