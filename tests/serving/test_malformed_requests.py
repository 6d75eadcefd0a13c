"""Malformed requests to all models: each is refused in words, and the server answers the next good request."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from embedded_servers import EmbeddedServers
from hashgrain.client import HashEncoder
from hashgrain.indexer import Index
from hashgrain.runtime import servers
from malformed.generator import Malformed, good, malformed
from malformed.pictures import BOMBS
from malformed.right import ENCODINGS, MODELS, Request, Tensor, written
from malformed.wire import Answer, RawClient
from pictures import arrays
from process_state import memory_of_group

NAME = "malformed"
CALLERS_FAULT = {"INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED", "OUT_OF_RANGE"}
"""Statuses of gRPC; HTTP's are those from 400 to 499."""

OWN_WORDS = re.compile(r"[Uu]nable to parse|failed to parse the request JSON")
"""Triton 2.51 calls it INTERNAL, and 500 over HTTP, when it cannot read a request; its words are clear all the same."""


@pytest.fixture(scope="module")
def client(triton: EmbeddedServers) -> Iterator[RawClient]:
    with (
        HashEncoder(triton.grpc) as encoder,
        Index.create(triton.redis, NAME, encoder.layout, fingerprint=encoder.fingerprint) as index,
        RawClient(triton.http, triton.grpc) as client,
    ):
        index.add(list(range(50)), encoder.encode(arrays(50)))
        yield client
        index.drop()


@pytest.fixture(scope="module")
def group(triton: EmbeddedServers) -> int:
    """The process group of Triton and its models."""
    running = servers.running(triton.home)
    assert running is not None
    assert running.triton is not None
    return running.triton.process.pid


def complaint(sent: Malformed, answer: Answer) -> str | None:
    """What is wrong with an answer, or None."""
    words = answer.content.decode(errors="replace")
    if answer.answered:
        return "was answered" if sent.verdict == "refused" else None
    if sent.verdict == "answered":
        return f"was refused: {answer.status} {words}"
    known = answer.status in CALLERS_FAULT or answer.status.startswith("4") or OWN_WORDS.search(words)
    return None if known and len(words) > 10 else f"was refused, but so: {answer.status} {words!r}"


def answers(client: RawClient) -> list[Answer]:
    """To the good requests: of all models, in every encoding."""
    kinds = [*((model, "pixels") for model in MODELS), ("image_search", "codes")]
    sent = [(encoding, good(model, encoding, NAME, form)) for model, form in kinds for encoding in ENCODINGS]
    return [
        _in_order(client.send(request)) if encoding == "grpc" else client.send(request) for encoding, request in sent
    ]


def _in_order(answer: Answer) -> Answer:
    """Without what Triton adds to an ensemble's answer in any order."""
    message = service_pb2.ModelInferResponse.FromString(answer.content)
    message.parameters.clear()
    return replace(answer, content=message.SerializeToString(deterministic=True))


def send_many(client: RawClient, count: int, seed: int, every: int) -> None:
    """Send malformed requests, and the good ones after every so many of them."""
    rng, wrong = np.random.default_rng(seed), []
    expected = answers(client)
    assert all(answer.answered for answer in expected)
    for number in range(count):
        sent = malformed(rng, NAME)
        if said := complaint(sent, client.send(sent.request)):
            wrong.append(f"{number}, {sent.what}, {said[:500]}")
        if number % every == every - 1:
            assert answers(client) == expected, f"another answer to a good request after {number}, {sent.what}"
    assert not wrong, f"{len(wrong)} of {count} (seed {seed}):\n" + "\n".join(wrong[:20])


def test_each_of_many_malformed_requests_is_refused_in_words(client: RawClient) -> None:
    send_many(client, 600, seed=1, every=100)


EMPTY_CODES = [Tensor("coarse_code", "UINT8", (0, 2), [0] * 2), Tensor("fine_code", "UINT8", (0, 8), [0] * 8)]


@pytest.mark.parametrize(
    ("model", "tensors", "words"),
    [
        ("image_search", [Tensor("image", "UINT8", (0, 32, 32, 3), [0] * 3072)], b"image has an empty batch"),
        ("image_search", EMPTY_CODES, b"coarse_code has an empty batch"),
        ("image_search", [Tensor("image_bytes", "BYTES", (-(2**63), 1), [b"x"])], b"image_bytes has an empty batch"),
        ("hash_encoder", [Tensor("image", "UINT8", (0, 32, 32, 3), [0] * 3072)], b"Invalid rank for input: image"),
    ],
)
def test_an_empty_batch_that_triton_lets_through_is_refused(
    client: RawClient, model: str, tensors: list[Tensor], words: bytes
) -> None:
    """Over gRPC it hands the models a tensor without the first dimension, and takes what it says for a batch."""
    answer = client.send(written(Request(model, tuple(tensors), parameters={"index": NAME}), "grpc"))
    assert (answer.status, words in answer.content) == ("INVALID_ARGUMENT", True), answer


def test_words_about_a_long_value_fit_into_what_grpc_carries(client: RawClient) -> None:
    pixel = Tensor("image", "UINT8", (1, 1, 1, 3), [0] * 3)
    answer = client.send(written(Request("image_search", (pixel,), parameters={"index": "☃" * 10_000}), "grpc"))
    assert answer.status == "INVALID_ARGUMENT"
    assert re.fullmatch("'☃+ ... ☃+' cannot name an index.*", answer.content.decode())


def test_bombs_do_not_blow_up_the_servers_memory(client: RawClient, group: int) -> None:
    """The largest pictures that are answered have 89 million pixels: about 400 MB of RGB, and some of their own."""
    for make in BOMBS:
        bomb = make()
        tensor = Tensor("image_bytes", "BYTES", (1, 1), [bomb.content])
        request = written(Request("image_search", (tensor,), parameters={"k": 5, "index": NAME}), "binary")
        assert complaint(Malformed(bomb.what, request, bomb.verdict), client.send(request)) is None, bomb.what
    assert max(memory_of_group(group, "VmHWM")) < 1_200_000_000
    assert all(answer.answered for answer in answers(client))


@pytest.mark.long
def test_ten_thousand_malformed_requests(client: RawClient, group: int) -> None:
    send_many(client, 2_000, seed=2, every=50)
    before = sum(memory_of_group(group, "VmRSS"))
    for seed in range(3, 8):
        send_many(client, 2_000, seed, every=50)
    grown = sum(memory_of_group(group, "VmRSS")) - before
    assert grown < 50_000_000, f"the server's memory grew by {grown:,} bytes"
