"""image_search answers by codes that a caller has already as by the pictures that they are of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from embedded_servers import EmbeddedServers
from hashgrain.client import HashEncoder
from hashgrain.codes import CodeLayout, HashCodes
from image_search_client import RefusedError, by_client, by_json
from indexed_pictures import indexed_pictures
from pictures import arrays
from random_codes import random_codes

NAME = "codes_given"
COUNT = 60
QUERIES = arrays(3, seed=1)

Tensors = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def codes(triton: EmbeddedServers) -> HashCodes:
    with HashEncoder(triton.grpc) as encoder:
        return encoder.encode(QUERIES, logits=True)


@pytest.fixture(scope="module", autouse=True)
def index(triton: EmbeddedServers) -> Iterator[None]:
    with indexed_pictures(triton, NAME, COUNT):
        yield


def tensors(codes: HashCodes, logits: bool = False) -> Tensors:
    found: Tensors = {"coarse_code": codes.coarse, "fine_code": codes.fine}
    if logits:
        assert codes.coarse_logits is not None
        assert codes.fine_logits is not None
        found |= {"coarse_logits": codes.coarse_logits, "fine_logits": codes.fine_logits}
    return found


def plain(answer: Tensors) -> dict[str, Any]:
    return {name: array.tolist() for name, array in answer.items()}


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"k": 3, "rank": "fine", "probes": 2},
        {"k": COUNT + 2, "exact": True},
        {"k": 5, "refine": 30},
        {"k": 5, "filter": json.dumps({"number": {"lt": 20}})},
    ],
    ids=str,
)
def test_codes_are_answered_as_their_pictures_are(
    triton: EmbeddedServers, codes: HashCodes, protocol: str, parameters: dict[str, Any]
) -> None:
    address = getattr(triton, protocol)
    asked = {"index": NAME, **parameters}
    by_pictures = by_client(address, {"image": QUERIES}, asked)
    assert plain(by_client(address, tensors(codes, "refine" in parameters), asked)) == plain(by_pictures)
    assert len(by_pictures["payloads"]) == len(QUERIES)


def test_json_carries_codes_too(triton: EmbeddedServers, codes: HashCodes) -> None:
    asked = {"index": NAME, "k": 4, "refine": 8, "fingerprint": triton.contract.fingerprint}
    by_codes = by_json(triton.http, tensors(codes, logits=True), asked)
    del asked["fingerprint"]
    assert plain(by_codes) == plain(by_json(triton.http, {"image": QUERIES}, asked))


def other(**changed: NDArray[Any] | None) -> Tensors:
    """Codes and logits of the right form, but for what is changed; None takes a tensor away."""
    right = tensors(random_codes(2, CodeLayout(16, 64), logits=True), logits=True)
    return {name: array for name, array in (right | changed).items() if array is not None}


NO_LOGITS = other(coarse_logits=None, fine_logits=None)
FEW, MANY = np.zeros((2, 7), np.uint8), np.zeros((3, 8), np.uint8)


@pytest.mark.parametrize(
    ("inputs", "asked", "words"),
    [
        (other(coarse_code=None), {}, "coarse_code was not given; codes are coarse_code and fine_code"),
        (other(fine_code=None), {}, "fine_code was not given"),
        (other(coarse_code=None, fine_code=None), {}, "coarse_code and fine_code was not given"),
        (other(image=QUERIES[:2]), {}, "pictures and codes were both given; send one of them"),
        (other(fine_code=FEW), {}, "holds 64-bit fine codes (8 bytes), got 56 bits"),
        (other(fine_code=MANY), {}, "fine_code"),  # Triton says that the batches differ
        (other(fine_logits=np.zeros((2, 63), np.float32)), {}, "63"),
        (other(fine_logits=np.full((2, 64), np.nan, np.float32)), {"refine": 10}, "logits of query 0 are not finite"),
        (NO_LOGITS, {"refine": 10}, "refine with rank='total' adds up the query's"),
        (other(coarse_code=np.zeros((2, 2), np.float32)), {}, "UINT8"),
        ({name: array[:0] for name, array in NO_LOGITS.items()}, {}, "got 0"),
        (other(), {"fingerprint": "cd" * 16}, f"the codes are of the model {'cd' * 16}, and hash_encoder serves"),
        (other(), {"fingerprint": 5}, "fingerprint must be that of a model, in hexadecimal, got 5"),
        ({"image": QUERIES}, {"fingerprint": "cd" * 16}, "but no codes were given; leave it out"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_codes_are_refused_in_words_and_the_next_are_answered(
    triton: EmbeddedServers, codes: HashCodes, inputs: Tensors, asked: dict[str, Any], words: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        by_json(triton.http, inputs, {"index": NAME, **asked})
    assert words in str(refused.value)
    assert refused.value.status == 400
    assert len(by_json(triton.http, tensors(codes), {"index": NAME})["ids"]) == len(QUERIES)
