"""The network is cut in the middle of a bulk job: between client and Triton it costs time, to Redis it ends the run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bulk_into_index import into_index, require_kept, require_whole
from cut_network import Cut, CutNetwork
from embedded_servers import EmbeddedServers
from hashgrain.client import HashEncoder, Timeouts
from hashgrain.codes.errors import StoreUnavailable
from pictures import arrays, write_tree

IMAGES, BATCH, CUT_AT = 240, 16, 96


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("collection") / "photos"
    write_tree(root, arrays(IMAGES))
    return root


@pytest.fixture
def network(request: pytest.FixtureRequest) -> Iterator[Callable[[str], CutNetwork]]:
    opened: list[CutNetwork] = []

    def to(target: str) -> CutNetwork:
        opened.append(CutNetwork(target).__enter__())
        return opened[-1]

    yield to
    for each in opened:
        each.__exit__()


def at_the(number: int, act: Callable[[], object]) -> Callable[[int], None]:
    """A progress callback that acts once, when so many pictures are done."""
    done = 0

    def progress(images: int) -> None:
        nonlocal done
        before, done = done, done + images
        if before < number <= done:
            act()

    return progress


@pytest.mark.parametrize(
    ("scheme", "how"),
    [
        ("grpc", Cut.RESET),
        ("grpc", Cut.SILENCE),
        pytest.param("http", Cut.SILENCE, marks=pytest.mark.long),
        pytest.param("http", Cut.RESET, marks=pytest.mark.long),
    ],
)
def test_a_cut_to_triton_costs_time_and_no_pictures(
    triton: EmbeddedServers,
    redis_url: str,
    photos: Path,
    tmp_path: Path,
    network: Callable[[str], CutNetwork],
    scheme: str,
    how: Cut,
) -> None:
    wire = network((triton.grpc if scheme == "grpc" else triton.http).partition("://")[2])
    healed = threading.Timer(0.5, wire.heal)

    def cut() -> None:
        wire.cut(how)
        healed.start()

    timeouts = Timeouts(connect=2.0, request=4.0)
    with HashEncoder(f"{scheme}://{wire.address}", batch_size=BATCH, timeouts=timeouts) as encoder:
        receipt = into_index(photos, redis_url, encoder, tmp_path / "ledger", at_the(CUT_AT, cut))
        assert healed.finished.is_set(), "the network was never cut"
        assert (receipt.encoded, receipt.rejected) == (IMAGES, ())
        require_whole(redis_url, photos, encoder)


@pytest.mark.parametrize("how", Cut)
def test_a_cut_to_redis_ends_the_run_and_the_next_goes_on(
    model: Path, redis_url: str, photos: Path, tmp_path: Path, network: Callable[[str], CutNetwork], how: Cut
) -> None:
    wire, ledger = network(redis_url.removeprefix("unix://")), tmp_path / "ledger"
    through = f"redis://{wire.address}/0?socket_timeout=1"
    with HashEncoder(model, batch_size=BATCH) as encoder:
        with pytest.raises(StoreUnavailable, match="gave no answer in time" if how is Cut.SILENCE else "no Redis at"):
            into_index(photos, through, encoder, ledger, at_the(CUT_AT, lambda: wire.cut(how)))
        require_kept(redis_url, ledger, encoder)
        wire.heal()
        receipt = into_index(photos, through, encoder, ledger)
        assert (receipt.encoded + receipt.reused, receipt.unchanged) == (IMAGES - CUT_AT, CUT_AT)
        require_whole(redis_url, photos, encoder)
