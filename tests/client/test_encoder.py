"""One encoder, three ways: the same tests, and the same codes bit for bit."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image

import hashgrain.client
from embedded_servers import EmbeddedServers
from hashgrain.client import HashEncoder
from hashgrain.codes import HashCodes, pack_logits
from hashgrain.codes.errors import EncoderError, ImageRejected, InvalidInput, ServerUnavailable
from pictures import arrays, file_bytes

MAX = 128
WAYS = ("grpc", "http", "in_process")


def address(servers: EmbeddedServers, way: str) -> str:
    """Where an encoder reaches the tiny model over one of the three ways."""
    return {"grpc": servers.grpc, "http": servers.http, "in_process": str(servers.repository)}[way]


@pytest.fixture(scope="module", params=WAYS)
def encoder(request: pytest.FixtureRequest, triton: EmbeddedServers) -> Iterator[HashEncoder]:
    """An encoder over each way in turn."""
    with HashEncoder(address(triton, request.param)) as encoder:
        yield encoder


@pytest.fixture(scope="module")
def reference(triton: EmbeddedServers) -> onnxruntime.InferenceSession:
    """The tiny model, called directly."""
    return onnxruntime.InferenceSession(triton.repository / "hash_encoder/1/model.onnx")


def same(left: HashCodes, right: HashCodes) -> bool:
    """Whether codes are equal, bit for bit."""
    return np.array_equal(left.coarse, right.coarse) and np.array_equal(left.fine, right.fine)


def test_the_public_names() -> None:
    assert sorted(hashgrain.client.__all__) == [
        "AsyncHashEncoder", "Encoded", "HashEncoder", "ImageLike", "Logits", "Served", "Timeouts", "Transport",
    ]  # fmt: skip


def test_it_knows_the_models_contract(encoder: HashEncoder, triton: EmbeddedServers) -> None:
    assert encoder.contract == triton.contract
    assert encoder.layout == triton.contract.layout
    assert encoder.input_size == triton.contract.input_size
    assert encoder.fingerprint == triton.contract.fingerprint
    assert triton.contract.fingerprint[:12] in repr(encoder)


def test_it_says_what_serves(triton: EmbeddedServers) -> None:
    for way in WAYS:
        with HashEncoder(address(triton, way)) as encoder:
            served = encoder.served
        if way == "in_process":
            assert (served.server_name, served.server_version) == ("onnxruntime", onnxruntime.__version__)
        else:
            assert (served.server_name, served.max_batch_size, served.model_version) == ("triton", MAX, "1")
            assert served.server_version.startswith("2.")


@pytest.mark.parametrize("count", [1, 2, 7, MAX, MAX + 1, 3 * MAX + 5])
def test_codes_are_those_of_the_model_called_directly(
    encoder: HashEncoder, reference: onnxruntime.InferenceSession, count: int
) -> None:
    images = arrays(count, seed=count)
    batches = [images[start : start + MAX] for start in range(0, count, MAX)]
    coarse, fine = (
        np.concatenate([reference.run([name], {"image": batch})[0] for batch in batches])
        for name in ("coarse_code", "fine_code")
    )
    for given in (images, list(images), [file_bytes(image) for image in images]):
        codes = encoder.encode(given)
        assert np.array_equal(codes.coarse, coarse)
        assert np.array_equal(codes.fine, fine)


def test_logits_come_when_asked_for_and_agree_with_the_codes(encoder: HashEncoder) -> None:
    images = arrays(MAX + 3)
    without, coarse, both = (encoder.encode(images, logits=wanted) for wanted in (False, "coarse", True))
    assert same(without, coarse)
    assert same(without, both)
    assert without.coarse_logits is without.fine_logits is coarse.fine_logits is None
    assert both.coarse_logits is not None
    assert both.fine_logits is not None
    assert np.array_equal(coarse.coarse_logits, both.coarse_logits)
    assert np.array_equal(pack_logits(both.coarse_logits), both.coarse)
    assert np.array_equal(pack_logits(both.fine_logits), both.fine)


def test_every_kind_of_picture_in_one_call(encoder: HashEncoder, tmp_path: Path) -> None:
    array = arrays(1, height=50, width=40)[0]
    data = file_bytes(array)
    (tmp_path / "a.png").write_bytes(data)
    ways: list[Any] = [str(tmp_path / "a.png"), tmp_path / "a.png", data, Image.open(io.BytesIO(data)), array]
    codes = encoder.encode(ways)
    assert len(codes) == len(ways)
    assert (codes.fine == codes.fine[0]).all()
    assert same(codes, encoder.encode(np.repeat(array[None], len(ways), axis=0)))
    assert same(codes, encoder.encode(way for way in ways))


def test_no_pictures_give_no_codes(encoder: HashEncoder) -> None:
    for nothing in ([], np.empty((0, 32, 32, 3), np.uint8)):
        codes = encoder.encode(nothing, logits=True)
        assert codes.coarse.shape == (0, 2)
        assert codes.fine_logits is not None
        assert codes.fine_logits.shape == (0, 64)
        codes.check(encoder.layout)


def test_unreadable_pictures_are_named_and_cost_the_rest_nothing(encoder: HashEncoder) -> None:
    images = arrays(2 * MAX + 10)
    given: list[Any] = list(images)
    bad = {0: b"", 5: "no/such.jpg", MAX: b"text", 2 * MAX + 9: np.zeros((4, 4, 3))}
    for position, image in bad.items():
        given[position] = image
    encoded = encoder.encode_readable(given)
    good = [position for position in range(len(given)) if position not in bad]
    assert encoded.kept.tolist() == good
    assert encoded.total == len(given)
    assert [rejected.name for rejected in encoded.rejected] == [
        "image 0", "no/such.jpg", f"image {MAX}", f"image {2 * MAX + 9}",
    ]  # fmt: skip
    assert same(encoded.codes, encoder.encode(images[good]))


def test_a_batch_of_unreadable_pictures_only(encoder: HashEncoder) -> None:
    encoded = encoder.encode_readable([b"", b"text"], logits="coarse")
    assert (len(encoded.codes), len(encoded.kept), len(encoded.rejected)) == (0, 0, 2)
    assert encoded.codes.coarse_logits is not None


def test_encode_is_all_or_nothing_and_names_every_picture(encoder: HashEncoder) -> None:
    with pytest.raises(ImageRejected) as one:
        encoder.encode([arrays(1)[0], b""])
    assert (one.value.name, one.value.reason) == ("image 1", "the file is empty")
    with pytest.raises(ImageRejected) as two:
        encoder.encode(["no/such.jpg", arrays(1)[0], b""])
    assert str(two.value) == (
        "2 of 3 images cannot be read: no/such.jpg: there is no such file; image 2: the file is empty"
    )


def test_what_is_kept_of_a_rejected_picture_is_its_name_and_reason_only(encoder: HashEncoder) -> None:
    (rejected,) = encoder.encode_readable([b"not an image" * 1000]).rejected
    assert rejected.__traceback__ is rejected.__cause__ is rejected.__context__ is None


@pytest.mark.parametrize(
    ("images", "says"),
    [
        ("a.jpg", "images is one str; give a list"),
        (Path("a.jpg"), "give a list"),
        (b"bytes", "images is one bytes"),
        (Image.new("RGB", (4, 4)), "images is one Image"),
        (None, "images is a NoneType"),
        (np.zeros((32, 32, 3), np.uint8), r"got \(32, 32, 3\); for one image give \[image\]"),
        (np.zeros((2, 32, 32, 3), np.float32), "must be uint8 from 0 to 255, got float32"),
    ],
)
def test_a_single_picture_or_no_collection_is_refused(encoder: HashEncoder, images: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        encoder.encode(images)


@pytest.mark.parametrize("logits", ["fine", 1.5, None, ["coarse"]])
def test_unknown_logits_are_refused(encoder: HashEncoder, logits: Any) -> None:
    with pytest.raises(InvalidInput, match='logits is False, "coarse" or True'):
        encoder.encode(arrays(1), logits=logits)


def test_an_array_of_paths_is_a_collection_of_paths(encoder: HashEncoder) -> None:
    encoded = encoder.encode_readable(np.array(["no/a.jpg", "no/b.jpg"]))  # type: ignore[arg-type]
    assert [rejected.name for rejected in encoded.rejected] == ["no/a.jpg", "no/b.jpg"]


def test_threads_may_share_an_encoder(encoder: HashEncoder) -> None:
    batches = [arrays(40, seed=seed) for seed in range(8)]
    expected = [encoder.encode(batch) for batch in batches]
    with ThreadPoolExecutor(8) as threads:
        assert all(map(same, threads.map(encoder.encode, batches), expected))


def test_a_stream_is_read_a_few_batches_ahead_only(triton: EmbeddedServers) -> None:
    taken = 0
    image = arrays(1)[0]

    def pictures() -> Iterator[tuple[str, Any]]:
        nonlocal taken
        for position in range(10_000):
            taken += 1
            yield f"picture {position}", image

    with HashEncoder(triton.grpc, batch_size=4, in_flight=2) as encoder:
        parts = encoder.encode_stream(pictures())
        for done in range(1, 6):
            assert len(next(parts).codes) == 4
            assert taken <= 4 * (done + 3)


def test_a_stream_counts_positions_from_its_first_picture(encoder: HashEncoder) -> None:
    given = [(f"p{n}", image) for n, image in enumerate([*arrays(MAX), b"", *arrays(3)])]
    parts = list(encoder.encode_stream(given))
    assert np.concatenate([part.kept for part in parts]).tolist() == [*range(MAX), *range(MAX + 1, MAX + 4)]
    assert [rejected.name for part in parts for rejected in part.rejected] == [f"p{MAX}"]


def test_a_stream_says_which_picture_a_row_belongs_to_and_which_are_left_out(encoder: HashEncoder) -> None:
    images = arrays(2 * MAX + 5)
    named: list[tuple[str, Any]] = [(f"p{n}", image) for n, image in enumerate(images)]
    for bad in (3, MAX, MAX + 1):
        named[bad] = (f"p{bad}", b"text")
    expected = encoder.encode(images)
    for ordered in (True, False):
        parts = list(encoder.encode_stream(iter(named), ordered=ordered))
        assert sorted(part.start for part in parts) == [0, MAX, 2 * MAX]
        for part in parts:
            assert part.names == tuple(f"p{n}" for n in part.kept)
            assert np.array_equal(part.codes.fine, expected.fine[part.kept])
            assert [rejected.name for rejected in part.rejected] == [f"p{n}" for n in part.left_out]
        assert sorted(n for part in parts for n in part.left_out.tolist()) == [3, MAX, MAX + 1]


@pytest.mark.parametrize("ordered", [True, False])
def test_a_strict_stream_ends_at_the_first_picture_that_cannot_be_read(encoder: HashEncoder, ordered: bool) -> None:
    named = [("good", arrays(1)[0])] * (2 * MAX) + [("bad", b""), ("worse", b"text")]
    found = []
    with pytest.raises(ImageRejected, match="2 of 2 images cannot be read: bad: the file is empty; worse: "):
        found.extend(encoder.encode_stream(iter(named), strict=True, ordered=ordered))
    assert len(found) <= 2


class Stalling:
    """A transport that holds a batch of black pictures back until it may go."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self.go = threading.Event()

    def infer(self, batch: Any, *arguments: Any) -> Any:
        assert batch.any() or self.go.wait(20)
        return self._transport.infer(batch, *arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


@pytest.mark.parametrize("ordered", [True, False])
def test_behind_a_slow_batch_a_stream_waits_or_overtakes_and_takes_no_more_than_it_may(
    triton: EmbeddedServers, ordered: bool
) -> None:
    taken = 0
    most: list[int] = []
    image = arrays(1)[0]

    def pictures() -> Iterator[tuple[str, Any]]:
        nonlocal taken
        for taken in range(1, 401):
            yield f"p{taken}", np.zeros_like(image) if taken <= 4 else image

    with HashEncoder(triton.grpc, batch_size=4, in_flight=3) as encoder:
        encoder._pipeline._transport = slow = Stalling(encoder._pipeline._transport)  # type: ignore[assignment]
        parts = encoder.encode_stream(pictures(), ordered=ordered)
        if ordered:
            threading.Timer(0.3, lambda: (most.append(taken), slow.go.set())).start()
            assert next(parts).start == 0
            assert most[0] <= 4 * (3 + 1)
        else:
            overtakers = [next(parts).start for _ in range(20)]
            assert 0 not in overtakers
            assert taken <= 4 * (20 + 3 + 1)
            slow.go.set()
        assert sum(part.total for part in parts) == 400 - 4 * (1 if ordered else 20)


def test_the_number_under_way_follows_the_server_unless_it_is_given(triton: EmbeddedServers) -> None:
    with HashEncoder(triton.grpc) as free, HashEncoder(triton.grpc, in_flight=3) as fixed:
        assert (free.in_flight, fixed.in_flight) == (4, 3)
        before = free._pipeline._transport.statistics(5)
        free.encode(arrays(MAX))
        after = free._pipeline._transport.statistics(5)
    assert before is not None
    assert after is not None
    assert after.compute_ns > before.compute_ns
    with HashEncoder(triton.http) as web, HashEncoder(triton.repository) as own:
        assert web._pipeline._transport.statistics(5) == after
        assert own.in_flight == 1
        assert own._pipeline._transport.statistics(5) is None


def test_a_server_that_does_not_tell_is_followed_by_round_trips(
    triton: EmbeddedServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hashgrain.client.wire.in_flight.ROUND_S", 0.0)
    asked = 0

    def refused(self: Any, seconds: float) -> Any:
        nonlocal asked
        asked += 1
        raise ServerUnavailable("This protocol is restricted")

    monkeypatch.setattr("hashgrain.client.wire.grpc.GrpcTransport.statistics", refused)
    with HashEncoder(triton.grpc, batch_size=2) as encoder:
        assert len(encoder.encode(arrays(100))) == 100
        assert 1 <= encoder.in_flight <= 16
    assert asked


def test_an_error_in_the_callers_iterator_reaches_the_caller(encoder: HashEncoder) -> None:
    def pictures() -> Iterator[tuple[str, Any]]:
        yield from [("a", arrays(1)[0])] * 500
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(encoder.encode_stream(pictures()))


@pytest.mark.parametrize("way", WAYS)
def test_a_closed_encoder_says_so_and_leaves_no_thread(triton: EmbeddedServers, way: str) -> None:
    before = set(threading.enumerate())
    encoder = HashEncoder(address(triton, way))
    encoder.encode(list(arrays(3)))
    encoder.close()
    encoder.close()
    assert not [t for t in set(threading.enumerate()) - before if t.name.startswith("hashgrain")]
    with pytest.raises(EncoderError, match="is closed"):
        encoder.encode(arrays(1))


@pytest.mark.parametrize("name", ["batch_size", "in_flight", "decode_threads"])
@pytest.mark.parametrize("number", [0, -1, 1.5, "4", True])
def test_numbers_that_make_no_sense_are_refused(triton: EmbeddedServers, name: str, number: Any) -> None:
    with pytest.raises(InvalidInput, match=f"{name} must be a whole number of at least 1"):
        HashEncoder(triton.repository, **{name: number})


def test_a_batch_larger_than_the_server_takes_is_refused_beforehand(triton: EmbeddedServers) -> None:
    with pytest.raises(InvalidInput, match="batch_size 129 is more than .* takes, 128; lower it"):
        HashEncoder(triton.grpc, batch_size=MAX + 1)


def test_small_batches_give_the_same_codes(encoder: HashEncoder, triton: EmbeddedServers) -> None:
    images = arrays(50)
    with HashEncoder(triton.grpc, batch_size=7, in_flight=1, decode_threads=1) as small:
        assert same(small.encode(list(images)), encoder.encode(images))
