"""A model of vectors on a real Triton, from the fitted run to codes in an index: the same over every way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from command import hashgrain_here as hashgrain
from hashgrain.client import HashEncoder
from hashgrain.client.sources.vectors import load_vector, vector_bytes
from hashgrain.codes.errors import ImageRejected, InvalidInput
from hashgrain.indexer import Index
from hashgrain.runtime import servers
from labelled_vectors import WIDTH, drawn, write_vector_parquet
from pictures import file_bytes

WAYS = ("grpc", "http", "in_process")


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Where the model answers, by way; it was fitted without labels, which takes a moment."""
    folder = tmp_path_factory.mktemp("vectors")
    np.save(folder / "clip.npy", drawn(200, 0)[0])
    run, repository, home = folder / "run", folder / "models", folder / "home"
    bits = ("--coarse-bits", "12", "--fine-bits", "32")
    assert hashgrain("train", run, "--data", folder / "clip.npy", "--unlabelled", *bits).returncode == 0
    assert hashgrain("export", run, "--repository", repository).returncode == 0
    try:
        running = servers.start(servers.StartSettings(home=home, model_repository=repository))
        assert running.triton is not None, running.no_triton
        yield {
            "grpc": running.triton.address,
            "http": running.triton.http,
            "in_process": str(repository),
            "redis": running.redis.address,
        }
    finally:
        servers.stop(home)


@pytest.mark.parametrize("way", WAYS)
def test_codes_are_the_same_over_every_way(addresses: dict[str, str], way: str) -> None:
    vectors, _, _ = drawn(300, 1)  # more than one request
    with HashEncoder(addresses["in_process"]) as near, HashEncoder(addresses[way]) as encoder:
        assert (encoder.contract.vector_width, encoder.input_size) == (WIDTH, 0)
        expected, found = near.encode(vectors, logits=True), encoder.encode(vectors, logits=True)
        assert np.array_equal(found.fine, expected.fine)
        assert np.array_equal(found.coarse, expected.coarse)
        assert found.fine_logits is not None
        assert np.array_equal(np.packbits(found.fine_logits > 0, axis=1), found.fine)
        scaled = encoder.encode(list(17.0 * vectors.astype(np.float64)))  # angles alone count
        assert (np.unpackbits(scaled.fine ^ expected.fine) > 0).mean() < 1e-3
        assert len(encoder.encode(vectors[:0])) == 0


def test_vectors_of_another_kind_are_refused(addresses: dict[str, str]) -> None:
    with HashEncoder(addresses["in_process"]) as encoder:
        for wrong, message in (
            (
                np.zeros((2, WIDTH - 1), np.float32),
                rf"takes float vectors \(N, {WIDTH}\), got float32 \(2, {WIDTH - 1}\)",
            ),
            (np.zeros((2, 8, 8, 3), np.uint8), "takes float vectors"),
            (["a.jpg"], "takes float vectors .*, got list"),
            (np.full((2, WIDTH), np.inf, np.float32), "2 of 2 vectors hold a value that is not finite, row 0 first"),
        ):
            with pytest.raises(InvalidInput, match=message):
                encoder.encode(wrong)


def test_files_of_vectors_are_encoded_into_an_index(addresses: dict[str, str], tmp_path: Path) -> None:
    vectors, _, _ = drawn(200, 0)
    np.save(tmp_path / "clip.npy", vectors)
    parquet = write_vector_parquet(tmp_path / "more.parquet", fixed=False)
    to = ("--triton", addresses["grpc"], "--redis", addresses["redis"], "--json")
    told = hashgrain("encode", tmp_path / "clip.npy", "--index", "array", *to)
    assert (told.returncode, json.loads(told.stdout)["encoded"]) == (0, 200), told.stderr
    told = hashgrain("encode", parquet, "--id-column", "key", "--index", "table", *to)
    assert (told.returncode, json.loads(told.stdout)["encoded"]) == (0, 200), told.stderr
    with HashEncoder(addresses["grpc"]) as encoder:
        query = encoder.encode(vectors[7:8])
    for name, item in (("array", "clip/7"), ("table", "item 7")):
        with Index.open(addresses["redis"], name) as index:
            [hit] = index.search(query, k=3)
            assert item in hit.ids[: np.count_nonzero(hit.distances == 0)]


def test_a_picture_is_no_vector(addresses: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(file_bytes(np.zeros((8, 8, 3), np.uint8)))
    refused = hashgrain("encode", tmp_path, "--out", tmp_path / "x.parquet", "--triton", addresses["in_process"])
    assert (refused.returncode, f"this model takes vectors of {WIDTH} floats" in refused.stderr) == (1, True)


def test_array_of_another_kind_is_no_collection(tmp_path: Path, addresses: dict[str, str]) -> None:
    np.save(tmp_path / "flat.npy", np.zeros(4, np.float32))
    refused = hashgrain("encode", tmp_path / "flat.npy", "--out", tmp_path / "x", "--triton", addresses["in_process"])
    assert (refused.returncode, "vectors are floats (N, D), one row each" in refused.stderr) == (1, True)


def test_one_vector_comes_back_from_its_bytes_and_a_damaged_one_is_told() -> None:
    vector = np.array([1.5, -2, 0], np.float64)
    assert load_vector(vector_bytes(vector), 3, "x").tolist() == [1.5, -2, 0]
    for wrong, reason in ((b"12345", "has 5 bytes"), (np.zeros(2), r"of shape \(2,\)"), ([np.nan] * 3, "not finite")):
        with pytest.raises(ImageRejected, match=reason):
            load_vector(wrong, 3, "x")
