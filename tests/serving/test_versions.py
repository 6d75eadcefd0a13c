"""Two versions of the encoder side by side on a real Triton, each with an index of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from hashgrain.client import HashEncoder
from hashgrain.codes import EncoderContract, HashCodes
from hashgrain.codes.errors import FingerprintMismatch, InvalidInput
from hashgrain.export.serving_profiles import CPU
from hashgrain.indexer import Index, create_generation, switch_generation
from hashgrain.runtime import servers
from image_search_client import RefusedError, by_json
from pictures import arrays
from tiny_model import add_image_search, write_tiny_versions

COUNT = 20
OLD, NEW = 1, 2


@dataclass(frozen=True)
class SideBySide:
    """Servers with two versions of the encoder, and their contracts."""

    grpc: str
    http: str
    redis: str
    repository: Path
    contracts: dict[int, EncoderContract]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SideBySide]:
    folder = tmp_path_factory.mktemp("versions")
    contracts = write_tiny_versions(folder / "models", {OLD: 0, NEW: 1}, settings=CPU)
    add_image_search(folder / "models")
    try:
        running = servers.start(servers.StartSettings(home=folder / "home", model_repository=folder / "models"))
        assert running.triton is not None, running.no_triton
        yield SideBySide(
            running.triton.address, running.triton.http, running.redis_address, folder / "models", contracts
        )
    finally:
        servers.stop(folder / "home")


@pytest.mark.parametrize("way", ["grpc", "http", "repository"])
def test_an_encoder_is_pinned_to_a_version_and_takes_the_newest_otherwise(both: SideBySide, way: str) -> None:
    place = getattr(both, way)
    pictures = arrays(COUNT)
    codes = {}
    for version, contract in both.contracts.items():
        with HashEncoder(place, version=version) as encoder:
            assert encoder.fingerprint == contract.fingerprint
            assert encoder.served.model_version == str(version)
            codes[version] = encoder.encode(pictures)
    with HashEncoder(place) as newest:
        assert newest.fingerprint == both.contracts[NEW].fingerprint
        assert np.array_equal(newest.encode(pictures).fine, codes[NEW].fine)
    assert not np.array_equal(codes[OLD].fine, codes[NEW].fine)
    with HashEncoder(both.repository / "hash_encoder" / str(OLD) / "model.onnx") as direct:
        assert np.array_equal(direct.encode(pictures).fine, codes[OLD].fine)


@pytest.mark.parametrize("way", ["grpc", "http"])
def test_the_address_pins_a_version_too(both: SideBySide, way: str) -> None:
    with HashEncoder(f"{getattr(both, way)}?version={OLD}") as encoder:
        assert encoder.fingerprint == both.contracts[OLD].fingerprint


@pytest.mark.parametrize("way", ["grpc", "http", "repository"])
def test_a_version_that_is_not_served_is_refused_with_those_that_are(both: SideBySide, way: str) -> None:
    with pytest.raises(InvalidInput, match="serves version 1, 2 of hash_encoder, not 3|holds no version 3"):
        HashEncoder(getattr(both, way), version=3)


def test_image_search_encodes_with_the_version_whose_codes_an_index_holds(both: SideBySide) -> None:
    """So the old index answers as before while the new one grows, and callers change over by the index' name."""
    pictures = arrays(COUNT)
    for version in (OLD, NEW):
        with (
            HashEncoder(both.grpc, version=version) as encoder,
            Index.create(both.redis, f"v{version}", encoder.layout, fingerprint=encoder.fingerprint) as index,
        ):
            index.add([f"v{version} item {n}" for n in range(COUNT)], encoder.encode(pictures))
            with HashEncoder(both.grpc, version=NEW + OLD - version) as other, pytest.raises(FingerprintMismatch):
                index.require_fingerprint(other.fingerprint)
    for version in (OLD, NEW, OLD):
        answer = by_json(both.http, {"image": pictures}, {"index": f"v{version}", "k": 1})
        assert answer["ids"].tolist() == [[f"v{version} item {n}"] for n in range(COUNT)]
        assert not answer["distances"].any(), "another version's codes would lie bits away"


def test_image_search_goes_over_with_the_generation_of_an_index(both: SideBySide) -> None:
    """A new encoder's codes are collected beside the old ones; callers change nothing, and go back likewise."""
    pictures = arrays(COUNT)
    for version, make in ((OLD, Index.create), (NEW, create_generation)):
        with (
            HashEncoder(both.grpc, version=version) as encoder,
            make(both.redis, "photos", encoder.layout, fingerprint=encoder.fingerprint) as index,
        ):
            index.add([f"v{version} item {n}" for n in range(COUNT)], encoder.encode(pictures))
    for version, turn in ((OLD, None), (NEW, 1), (OLD, 0), (NEW, 1)):
        if turn is not None:
            switch_generation(both.redis, "photos", turn)
        answer = by_json(both.http, {"image": pictures}, {"index": "photos", "k": 1})
        assert answer["ids"].tolist() == [[f"v{version} item {n}"] for n in range(COUNT)]
        assert not answer["distances"].any()


def nearest(both: SideBySide, codes: HashCodes, **asked: str) -> list[list[str]]:
    inputs = {"coarse_code": codes.coarse, "fine_code": codes.fine}
    found: list[list[str]] = by_json(both.http, inputs, {"k": 1, **asked})["ids"].tolist()
    return found


def test_given_codes_are_of_the_newest_version_unless_the_request_says_otherwise(both: SideBySide) -> None:
    """Both instances have the index open when it is switched, so each step asks several times."""
    pictures, codes = arrays(COUNT), {}
    for version, make in ((OLD, Index.create), (NEW, create_generation)):
        with (
            HashEncoder(both.grpc, version=version) as encoder,
            make(both.redis, "given", encoder.layout, fingerprint=encoder.fingerprint) as index,
        ):
            codes[version] = encoder.encode(pictures)
            index.add([f"v{version} item {n}" for n in range(COUNT)], codes[version])
    of_old = {"index": "given", "fingerprint": both.contracts[OLD].fingerprint}
    for held, turn in ((OLD, None), (NEW, 1), (OLD, 0)):
        if turn is not None:
            switch_generation(both.redis, "given", turn)
        right, wrong = (of_old, {"index": "given"}) if held == OLD else ({"index": "given"}, of_old)
        refused = f"'given' holds codes of version {held} of hash_encoder, and these are of version {NEW + OLD - held}"
        for _ in range(4):
            assert nearest(both, codes[held], **right) == [[f"v{held} item {n}"] for n in range(COUNT)]
            with pytest.raises(RefusedError, match=refused) as error:
                nearest(both, codes[NEW + OLD - held], **wrong)
            assert error.value.status == 400


def test_pixel_search_encodes_with_the_newest_version(both: SideBySide) -> None:
    for version in (OLD, NEW):
        with (
            HashEncoder(both.grpc, version=version) as encoder,
            Index.create(both.redis, f"joined{version}", encoder.layout, fingerprint=encoder.fingerprint) as index,
        ):
            index.add([f"item {n}" for n in range(COUNT)], encoder.encode(arrays(COUNT)))
    picture = {"image": arrays(1)}
    answer = by_json(both.http, picture, {"index": f"joined{NEW}", "k": 1}, model="pixel_search")
    assert (answer["ids"].tolist(), answer["distances"].tolist()) == ([["item 0"]], [[0]])
    with pytest.raises(RefusedError, match="or send pictures to image_search, which takes the right version by itself"):
        by_json(both.http, picture, {"index": f"joined{OLD}"}, model="pixel_search")


def test_image_search_refuses_an_index_of_a_third_model(both: SideBySide) -> None:
    with Index.create(both.redis, "third", both.contracts[NEW].layout, fingerprint="third") as index:
        with pytest.raises(RefusedError, match="holds codes of model third, got codes of model") as refused:
            by_json(both.http, {"image": arrays(1)}, {"index": "third"})
        index.drop()
    assert refused.value.status == 400
