"""image_search answers what encoder and index answer, over every protocol, and refuses what is wrong in words."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from embedded_servers import EmbeddedServers
from hashgrain.client import HashEncoder
from hashgrain.codes import CodeLayout
from hashgrain.indexer import Hit, Index, Kind
from image_search_client import RefusedError, by_client, by_json
from pictures import arrays, file_bytes

NAME = "image_search_test"
COUNT = 150
QUERIES = 3

Tensors = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def encoder(triton: EmbeddedServers) -> Iterator[HashEncoder]:
    with HashEncoder(triton.grpc) as encoder:
        yield encoder


@pytest.fixture(scope="module")
def index(triton: EmbeddedServers, encoder: HashEncoder) -> Iterator[Index]:
    """String and integer ids, with a payload for every third."""
    with Index.create(triton.redis, NAME, encoder.layout, fingerprint=encoder.fingerprint) as index:
        ids = [number if number % 2 else f'bild "{number}" é.jpg' for number in range(COUNT)]
        payloads = [{"number": number, "word": "naïve"} if number % 3 == 0 else None for number in range(COUNT)]
        index.add(ids, encoder.encode(arrays(COUNT)), payloads)
        yield index
        index.drop()


@pytest.fixture(scope="module")
def queries() -> NDArray[np.uint8]:
    return arrays(QUERIES, seed=1)


def files(pictures: NDArray[np.uint8], kind: str = "PNG") -> NDArray[np.object_]:
    return np.array([[file_bytes(picture, kind)] for picture in pictures], object)


def data_urls(pictures: NDArray[np.uint8], kind: str = "PNG") -> NDArray[np.object_]:
    mime = f"data:image/{kind.lower()};base64,"
    return np.array([[mime + base64.b64encode(row[0]).decode()] for row in files(pictures, kind)], object)


def expected(hits: list[Hit], k: int) -> dict[str, list[Any]]:
    """The tensors that these hits become, written out plainly."""
    rows: dict[str, list[Any]] = {"ids": [], "distances": [], "payloads": []}
    for hit in hits:
        missing = k - len(hit)
        assert hit.payloads is not None
        texts = ["" if item is None else json.dumps(item, separators=(",", ":")) for item in hit.payloads]
        rows["ids"].append([*map(str, hit.ids), *[""] * missing])
        rows["distances"].append([*hit.distances.tolist(), *[-1] * missing])
        rows["payloads"].append([*texts, *[""] * missing])
    for name in ("candidates", "complete_radius", "exact", "partial"):
        rows[name] = [[getattr(hit, name)] for hit in hits]
    return rows


def plain(answer: Tensors) -> dict[str, list[Any]]:
    texts = np.vectorize(lambda text: text.decode() if isinstance(text, bytes) else text, otypes=[object])
    return {name: (texts(array) if array.dtype == object else array).tolist() for name, array in answer.items()}


PARAMETERS = [
    {},
    {"k": 3},
    {"k": COUNT + 5, "exact": True},
    {"k": 7, "rank": "fine", "candidates": 40},
    {"k": 7, "rank": "coarse", "probes": 3},
    {"k": 4, "radius": 4},
    {"k": 40, "within": 24},
    {"k": 5, "refine": 60, "deadline": 20},
    {"k": 6, "collapse": 9},
    {"k": 5, "rank": "fine", "refine": 20, "deadline": 20.5},
]


@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
def test_json_answers_what_encoder_and_index_answer(
    triton: EmbeddedServers,
    encoder: HashEncoder,
    index: Index,
    queries: NDArray[np.uint8],
    parameters: dict[str, Any],
) -> None:
    """The order of refined answers too, so the logits must have come along."""
    hits = index.search(encoder.encode(queries, logits=True), payloads=True, **parameters)
    answer = by_json(triton.http, {"image": queries}, {"index": NAME, **parameters})
    assert plain(answer) == expected(hits, parameters.get("k", 10))


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "pixels"])
def test_tritonclient_answers_the_same(
    triton: EmbeddedServers, encoder: HashEncoder, index: Index, protocol: str, kind: str
) -> None:
    """Pictures of another size than the network's are prepared as the client does it."""
    pictures = arrays(QUERIES, seed=2, height=50, width=77)
    inputs: Tensors = {"image": pictures} if kind == "pixels" else {"image_bytes": files(pictures, kind)}
    given = list(pictures) if kind == "pixels" else [row[0] for row in files(pictures, kind)]
    hits = index.search(encoder.encode(given, logits=True), k=8, refine=20, payloads=True)
    address = triton.grpc if protocol == "grpc" else triton.http
    parameters = {"k": 8, "refine": 20, "deadline": 20.5, "index": NAME}
    assert plain(by_client(address, inputs, parameters)) == expected(hits, 8)


def test_json_takes_files_as_data_urls(
    triton: EmbeddedServers, encoder: HashEncoder, index: Index, queries: NDArray[np.uint8]
) -> None:
    answer = by_json(triton.http, {"image_bytes": data_urls(queries)}, {"index": NAME})
    hits = index.search(encoder.encode(queries, logits="coarse"), payloads=True)
    assert plain(answer) == expected(hits, 10)


def test_only_the_outputs_asked_for_come_back(
    triton: EmbeddedServers, index: Index, queries: NDArray[np.uint8]
) -> None:
    answer = by_json(triton.http, {"image": queries}, {"index": NAME}, outputs=("distances", "ids"))
    assert sorted(answer) == ["distances", "ids"]


def test_an_empty_index_gives_nothing_but_padding(
    triton: EmbeddedServers, encoder: HashEncoder, queries: NDArray[np.uint8]
) -> None:
    with Index.create(triton.redis, "image_search_empty", encoder.layout, fingerprint=encoder.fingerprint) as empty:
        answer = plain(by_json(triton.http, {"image": queries}, {"index": "image_search_empty", "k": 2}))
        empty.drop()
    assert answer["ids"] == answer["payloads"] == [["", ""]] * QUERIES
    assert answer["distances"] == [[-1, -1]] * QUERIES
    assert answer["exact"] == [[True]] * QUERIES


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"k": 0}, "k must be an integer of 1 or more, got 0"),
        ({"k": "5"}, "k must be an integer of 1 or more, got '5'"),
        ({"k": 2.5}, "k must be an integer"),
        ({"k": True}, "k must be an integer"),
        ({"k": 1001}, "k is 1001, at most 1000"),
        ({"rank": "best"}, "rank must be one of total, fine, coarse, got 'best'"),
        ({"rank": 1}, "rank must be one of"),
        ({"exact": 1}, "exact must be True or False, got 1"),
        ({"candidates": 0}, "candidates must be an integer of 1 or more"),
        ({"radius": -1}, "radius must be an integer of 0 or more"),
        ({"probes": 2, "exact": True}, "probes and exact each say how far to look"),
        ({"payloads": True}, "unknown request parameter payloads; image_search knows k, rank, candidates"),
        ({"K": 5}, "unknown request parameter K"),
        ({"index": 5}, "index must be the name of an index, got 5"),
        ({"index": "a b"}, "'a b' cannot name an index"),
        ({"index": ""}, "'' cannot name an index"),
    ],
    ids=str,
)
def test_a_wrong_parameter_is_refused_in_words(
    triton: EmbeddedServers, index: Index, queries: NDArray[np.uint8], parameters: dict[str, Any], words: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        by_json(triton.http, {"image": queries}, {"index": NAME, **parameters})
    assert words in str(refused.value)
    assert refused.value.status == 400


def damaged(position: int, content: bytes | str) -> NDArray[np.object_]:
    row: NDArray[np.object_] = data_urls(arrays(3))
    row[position, 0] = content
    return row


PIXEL = np.zeros((1, 8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"image_bytes": damaged(1, "no picture")}, "image 1: not an image in a format that Pillow reads"),
        ({"image_bytes": damaged(2, "")}, "image 2: the file is empty"),
        ({"image_bytes": damaged(0, "data:image/png,%89")}, "image 0: its data URL is not in base64"),
        ({"image_bytes": damaged(0, "data:;base64,a*b=")}, "image 0: its data URL cannot be read"),
        ({"image": PIXEL, "image_bytes": data_urls(PIXEL)}, "both inputs were given; send either image or image_bytes"),
        ({"image": np.zeros((1, 0, 8, 3), np.uint8)}, "a picture needs at least one pixel"),
        ({"image": np.zeros((1, 8, 8, 4), np.uint8)}, "unexpected shape for input 'image'"),
        ({"image": np.zeros((33, 8, 8, 3), np.uint8)}, "batch-size must be <= 32"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_picture_is_refused_by_its_position(
    triton: EmbeddedServers, index: Index, inputs: Tensors, words: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        by_json(triton.http, inputs, {"index": NAME})
    assert words in str(refused.value)
    assert refused.value.status == 400


def test_a_truncated_file_is_refused_in_binary_too(triton: EmbeddedServers, index: Index) -> None:
    content = file_bytes(arrays(1, height=200, width=200)[0], "JPEG")
    with pytest.raises(InferenceServerException, match=r"image 0: .*truncated") as refused:
        by_client(triton.grpc, {"image_bytes": np.array([[content[: len(content) // 2]]], object)}, {"index": NAME})
    assert refused.value.status() == "StatusCode.INVALID_ARGUMENT"


def test_a_missing_index_is_named_with_the_next_step(triton: EmbeddedServers, queries: NDArray[np.uint8]) -> None:
    with pytest.raises(RefusedError, match="no index 'nowhere' in Redis .*`hashgrain index create nowhere`") as refused:
        by_json(triton.http, {"image": queries}, {"index": "nowhere"})
    assert refused.value.status == 404


def test_a_request_without_an_index_asks_for_photos(triton: EmbeddedServers, queries: NDArray[np.uint8]) -> None:
    with pytest.raises(RefusedError, match="no index 'photos'"):
        by_json(triton.http, {"image": queries})


@pytest.mark.parametrize(
    ("layout", "fingerprint", "words"),
    [
        (CodeLayout(16, 64), "another", "holds codes of model another"),
        (CodeLayout(16, 128), None, "holds 16-bit coarse and 128-bit fine codes, got 16-bit coarse and 64-bit fine"),
    ],
)
def test_the_index_of_another_model_is_refused(
    triton: EmbeddedServers, queries: NDArray[np.uint8], layout: CodeLayout, fingerprint: str | None, words: str
) -> None:
    with Index.create(triton.redis, "image_search_other", layout, fingerprint=fingerprint) as other:
        with pytest.raises(RefusedError, match=words) as refused:
            by_json(triton.http, {"image": queries}, {"index": "image_search_other"})
        other.drop()
    assert refused.value.status == 400


def test_an_index_that_was_created_anew_is_found_again(
    triton: EmbeddedServers, encoder: HashEncoder, queries: NDArray[np.uint8]
) -> None:
    """Both instances must have had the first index open, so each step asks several times."""

    def nearest() -> set[str]:
        asked = [by_json(triton.http, {"image": queries[:1]}, {"index": "image_search_anew", "k": 1}) for _ in range(6)]
        return {answer["ids"][0, 0] for answer in asked}

    codes = encoder.encode(queries[:1])
    for name in ("first", "second"):
        with Index.create(
            triton.redis, "image_search_anew", encoder.layout, fingerprint=encoder.fingerprint
        ) as created:
            created.add([name], codes)
            assert nearest() == {name}
            created.add(["later"], encoder.encode(255 - queries[:1]))  # a write by another process is seen as well
            answer = by_json(triton.http, {"image": queries[:1]}, {"index": "image_search_anew", "k": 2})
            assert answer["ids"].tolist() == [[name, "later"]]
            created.drop()
        with pytest.raises(RefusedError, match="no index 'image_search_anew'"):
            nearest()


def test_a_picture_that_was_asked_for_is_not_encoded_again(triton: EmbeddedServers, encoder: HashEncoder) -> None:
    """By either instance. Its answer follows the index, and the logits where they were not asked for at first."""
    picture = arrays(1, seed=77, height=50, width=40)
    file = np.array([[file_bytes(picture[0])]], object)
    fields: dict[str, Any] = {"index": "repeated", "k": 20}
    with Index.create(triton.redis, "repeated", encoder.layout, fingerprint=encoder.fingerprint) as index:
        index.add(range(20), encoder.encode(arrays(20)))
        codes = encoder.encode([picture[0]], logits=True)
        for inputs in ({"image": picture}, {"image_bytes": file}):
            for asked in ({}, {"refine": 20}, {}):
                hits = expected(index.search(codes, 20, payloads=True, **asked), 20)
                before = encoded_pictures(triton)
                for _ in range(8):
                    assert plain(by_client(triton.grpc, inputs, fields | asked)) == hits
                assert encoded_pictures(triton) - before <= 2, "once by each instance, of which there are two"
        assert encoded_pictures(triton) == before, "known with its logits, it was encoded for the codes alone"
        index.add(["now"], codes)
        assert by_client(triton.grpc, {"image_bytes": file}, fields)["ids"][0, 0] == b"now"
        index.drop()


def encoded_pictures(triton: EmbeddedServers) -> int:
    """Pictures that hash_encoder has answered since it was loaded."""
    with triton_grpc.InferenceServerClient(triton.grpc.removeprefix("grpc://")) as client:
        return int(client.get_inference_statistics("hash_encoder", client_timeout=10).model_stats[0].inference_count)


def test_a_filter_is_a_parameter(triton: EmbeddedServers, encoder: HashEncoder) -> None:
    fields: dict[str, Kind] = {"shelf": "keyword", "price": "number"}
    with Index.create(
        triton.redis, "filtered", encoder.layout, fingerprint=encoder.fingerprint, fields=fields
    ) as index:
        payloads = [{"shelf": "ab"[n % 2], "price": n} for n in range(20)]
        index.add(range(20), encoder.encode(arrays(20)), payloads)
        asked = {"index": "filtered", "k": 5, "filter": json.dumps({"shelf": "b", "price": {"lt": 6}})}
        for ask, address in ((by_json, triton.http), (by_client, triton.grpc)):
            answer = ask(address, {"image": arrays(2)}, asked)
            rows = [[one if isinstance(one, str) else one.decode() for one in row] for row in answer["ids"].tolist()]
            assert [sorted(row) for row in rows] == [["", "", "1", "3", "5"]] * 2
        for wrong, said in (
            ("{", "no JSON"),
            ('{"colour": 1}', "has no field 'colour'"),
            (5, "JSON object in a string"),
        ):
            with pytest.raises(RefusedError, match=said) as refused:
                by_json(triton.http, {"image": arrays(1)}, {**asked, "filter": wrong})
            assert refused.value.status == 400
        index.drop()
