"""pixel_search, which Triton itself joins of hash_encoder and image_search, answers as image_search does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from embedded_servers import EmbeddedServers
from image_search_client import RefusedError, by_client, by_json
from indexed_pictures import indexed_pictures
from pictures import arrays

NAME = "pixels_given"
COUNT = 60
MODEL = "pixel_search"


@pytest.fixture(scope="module", autouse=True)
def index(triton: EmbeddedServers) -> Iterator[None]:
    with indexed_pictures(triton, NAME, COUNT):
        yield


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"k": 3, "rank": "coarse", "radius": 4},
        {"k": 40, "within": 24},
        {"k": 5, "filter": json.dumps({"number": {"lt": 20}}), "deadline": 20.5},
    ],
    ids=str,
)
def test_a_picture_is_answered_as_by_image_search(
    triton: EmbeddedServers, protocol: str, parameters: dict[str, Any]
) -> None:
    """The request's parameters come through to the second model."""
    address, asked = getattr(triton, protocol), {"index": NAME, **parameters}
    for picture in arrays(3, seed=1):
        joined = by_client(address, {"image": picture[None]}, asked, MODEL)
        assert sorted(joined) == ["distances", "ids"]
        alone = by_client(address, {"image": picture[None]}, asked)
        assert all(joined[name].tolist() == alone[name].tolist() for name in joined)


@pytest.mark.parametrize(
    ("pictures", "asked", "status", "words"),
    [
        (arrays(1, height=31, width=32), {}, 400, "unexpected shape for input 'image' for model 'hash_encoder'"),
        (arrays(2), {}, 400, "batch-size must be <= 1"),
        (arrays(1), {"k": 0}, 400, "k must be an integer of 1 or more, got 0"),
        (arrays(1), {"refine": 20}, 400, "the codes carry no coarse logits"),
        (arrays(1), {"index": "nowhere"}, 404, "no index 'nowhere' in Redis"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_it_cannot_answer_is_refused_in_words(
    triton: EmbeddedServers, pictures: NDArray[np.uint8], asked: dict[str, Any], status: int, words: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        by_json(triton.http, {"image": pictures}, {"index": NAME, **asked}, model=MODEL)
    assert words in str(refused.value)
    assert refused.value.status == status
    assert by_json(triton.http, {"image": arrays(1)}, {"index": NAME, "k": 1}, model=MODEL)["ids"].shape == (1, 1)
