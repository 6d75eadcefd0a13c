"""The async encoder is the sync one: the same codes and errors, for any number of tasks, whatever one of them does."""

from __future__ import annotations

import asyncio
import importlib
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedded_servers import EmbeddedServers
from hashgrain.client import AsyncHashEncoder, HashEncoder, Timeouts
from hashgrain.client.encoding.async_pipeline import AsyncPipeline
from hashgrain.codes import HashCodes
from hashgrain.codes.errors import (
    DeadlineExceeded,
    EncoderError,
    ImageRejected,
    InvalidInput,
    MissingDependency,
    ServerBusy,
    ServerUnavailable,
)
from pictures import arrays, file_bytes

WAYS = ("grpc", "http", "in_process")
GRPC_AND_HTTP = pytest.mark.parametrize("scheme", ["grpc", "http"])
MAX = 128


@pytest.fixture(scope="module", params=WAYS)
def address(request: pytest.FixtureRequest, triton: EmbeddedServers) -> str:
    """Of the tiny model, over each way in turn."""
    return {"grpc": triton.grpc, "http": triton.http, "in_process": str(triton.repository)}[request.param]


@pytest.fixture(scope="module")
def expected(model: Path) -> Callable[..., HashCodes]:
    """What the sync encoder says."""
    with HashEncoder(model) as encoder:
        yield encoder.encode


def run(address: str, work: Callable[[AsyncHashEncoder], Awaitable[Any]], **settings: Any) -> Any:
    """Connect in a new event loop, and do it."""

    async def main() -> Any:
        async with AsyncHashEncoder(address, **settings) as encoder:
            return await work(encoder)

    return asyncio.run(main())


def same(left: HashCodes, right: HashCodes) -> bool:
    return np.array_equal(left.coarse, right.coarse) and np.array_equal(left.fine, right.fine)


def test_codes_logits_and_facts_are_those_of_the_sync_encoder(address: str) -> None:
    images = arrays(MAX + 3)
    with HashEncoder(address) as sync:
        codes, facts = sync.encode(images, logits=True), (sync.contract, sync.served, sync.batch_size)

    async def work(encoder: AsyncHashEncoder) -> None:
        assert (encoder.contract, encoder.served, encoder.batch_size) == facts
        assert repr(encoder).startswith("AsyncHashEncoder(")
        for given in (images, list(images), [file_bytes(image) for image in images]):
            found = await encoder.encode(given, logits=True)
            assert same(found, codes)
            assert found.fine_logits is not None
            assert np.array_equal(found.fine_logits, codes.fine_logits)
        assert len(await encoder.encode([])) == 0

    run(address, work)


def test_a_thousand_calls_at_a_time_are_as_many_requests_as_may_be_under_way(
    address: str, expected: Callable[..., HashCodes], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = arrays(1000)
    codes = expected(images)
    under_way = most = places = 0
    send = AsyncPipeline._send

    async def watched(self: AsyncPipeline, *arguments: Any) -> Any:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await send(self, *arguments)
        finally:
            under_way -= 1

    monkeypatch.setattr(AsyncPipeline, "_send", watched)

    async def work(encoder: AsyncHashEncoder) -> None:
        nonlocal places
        places = encoder._in_flight.most
        threads = threading.active_count()
        found = await asyncio.gather(*(encoder.encode([image]) for image in images))
        assert threading.active_count() - threads <= 2 + 8 + 1  # batches, decoding, and the network in process
        assert all(np.array_equal(one.fine[0], row) for one, row in zip(found, codes.fine, strict=True))

    run(address, work)
    assert 1 <= most <= places


def test_cancelled_calls_leave_the_others_alone(address: str, expected: Callable[..., HashCodes]) -> None:
    images = arrays(60)
    codes = expected(images)

    async def work(encoder: AsyncHashEncoder) -> None:
        for delay in (0, 0.001, 0.01):
            tasks = [asyncio.create_task(encoder.encode([image])) for image in images]
            await asyncio.sleep(delay)
            for task in tasks[::2]:
                task.cancel()
            found = await asyncio.gather(*tasks, return_exceptions=True)
            for one, row in zip(found[1::2], codes.fine[1::2], strict=True):
                assert isinstance(one, HashCodes)
                assert np.array_equal(one.fine[0], row)
            assert all(isinstance(one, HashCodes | asyncio.CancelledError) for one in found)
        assert same(await asyncio.wait_for(encoder.encode(images), 20), codes)

    run(address, work, in_flight=2)


def test_unreadable_pictures_and_wrong_arguments(address: str) -> None:
    async def work(encoder: AsyncHashEncoder) -> None:
        encoded = await encoder.encode_readable([arrays(1)[0], b"", "no/such.png"])
        assert encoded.kept.tolist() == [0]
        assert encoded.left_out.tolist() == [1, 2]
        with pytest.raises(ImageRejected, match="2 of 3 images cannot be read"):
            await encoder.encode([arrays(1)[0], b"", "no/such.png"])
        with pytest.raises(InvalidInput, match="images is one str"):
            await encoder.encode("a.jpg")
        with pytest.raises(InvalidInput, match="logits is"):
            await encoder.encode([], logits="fine")  # type: ignore[arg-type]

    run(address, work)


def test_streams_of_both_kinds_in_both_orders(address: str, expected: Callable[..., HashCodes]) -> None:
    images = arrays(50)
    codes = expected(images)
    named: list[tuple[str, Any]] = [(f"p{n}", image) for n, image in enumerate(images)]
    named[17] = ("p17", b"")

    async def asynchronous() -> AsyncIterator[tuple[str, Any]]:
        for pair in named:
            yield pair

    async def work(encoder: AsyncHashEncoder) -> None:
        for source in (lambda: iter(named), asynchronous):
            for ordered in (True, False):
                parts = [part async for part in encoder.encode_stream(source(), ordered=ordered)]
                starts = [part.start for part in parts]
                assert sorted(starts) == list(range(0, 50, 8))
                assert starts == sorted(starts) or not ordered
                for part in parts:
                    assert np.array_equal(part.codes.fine, codes.fine[part.kept])
                    assert part.names == tuple(f"p{n}" for n in part.kept)
                assert [part.left_out.tolist() for part in parts if part.rejected] == [[17]]
        with pytest.raises(ImageRejected, match="p17: the file is empty"):
            [part async for part in encoder.encode_stream(named, strict=True)]

    run(address, work, batch_size=8)


def test_a_stream_that_is_left_takes_no_more_and_ends_what_it_began(address: str) -> None:
    taken = 0

    def pictures() -> Iterator[tuple[str, Any]]:
        nonlocal taken
        for taken in range(1, 10_001):
            yield f"p{taken}", arrays(1)[0]

    async def work(encoder: AsyncHashEncoder) -> None:
        async with aclosing(encoder.encode_stream(pictures())) as parts:  # type: ignore[type-var]
            async for part in parts:
                assert part.total == 4
                break
        assert not encoder._pipeline._tasks
        assert len(await encoder.encode(arrays(3))) == 3

    run(address, work, batch_size=4, in_flight=2)
    assert taken <= 4 * 4


def test_it_must_be_connected_and_says_when_it_is_closed(address: str) -> None:
    async def main() -> None:
        encoder = AsyncHashEncoder(address)
        assert "not connected" in repr(encoder)
        for use in (lambda: encoder.layout, lambda: encoder.encode_stream([])):
            with pytest.raises(EncoderError, match="is not connected; use it in an `async with`"):
                use()
        await encoder.close()
        async with encoder:
            await encoder.encode(arrays(2))
        await encoder.close()
        with pytest.raises(EncoderError, match="is closed"):
            await encoder.encode(arrays(2))

    asyncio.run(main())


def test_closing_it_ends_calls_under_way_with_an_error(address: str) -> None:
    async def main() -> list[Any]:
        encoder = AsyncHashEncoder(address, in_flight=1)
        async with encoder:
            tasks = [asyncio.create_task(encoder.encode(arrays(5))) for _ in range(20)]
            await asyncio.sleep(0)
        return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)

    for found in asyncio.run(main()):
        assert isinstance(found, HashCodes) or (isinstance(found, EncoderError) and "is closed" in str(found))


@pytest.mark.parametrize("settings", [{"batch_size": 0}, {"in_flight": True}, {"priority": "low"}, {"version": 0}])
def test_wrong_settings_are_refused_before_it_connects(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        AsyncHashEncoder("grpc://host:8001", **settings)


@GRPC_AND_HTTP
def test_nobody_there_or_nobody_who_answers(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        silent = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(DeadlineExceeded, match=r"no answer from .* within 0\.3 s"):
            run(silent, AsyncHashEncoder.encode, timeouts=Timeouts(connect=0.3))  # type: ignore[arg-type]
    with pytest.raises(ServerUnavailable, match="no Triton server answers"):
        run(silent, AsyncHashEncoder.encode)  # type: ignore[arg-type]


@GRPC_AND_HTTP
def test_a_full_queue_is_asked_again_and_a_deadline_says_what_waited(
    triton: EmbeddedServers, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hashgrain.client.wire.retry.FIRST_PAUSE", 0.001)
    monkeypatch.setattr("hashgrain.client.wire.retry.LONGEST_PAUSE", 0.01)

    async def work(encoder: AsyncHashEncoder) -> None:
        transport: Any = encoder._pipeline._transport
        infer, rejections = transport.infer, 5

        async def full(*arguments: Any) -> Any:
            nonlocal rejections
            rejections -= 1
            if rejections >= 0:
                raise ServerBusy("no room")
            return await infer(*arguments)

        transport.infer = full
        assert len(await encoder.encode(arrays(3))) == 3
        assert encoder.in_flight < 4
        rejections = 10_000
        with pytest.raises(DeadlineExceeded, match=r"3 images waited .* of 0\.2 s .* found none; .*no room"):
            await encoder.encode(arrays(3))

    run(getattr(triton, scheme), work, timeouts=Timeouts(request=0.2))


def test_http_without_aiohttp_says_what_to_install(triton: EmbeddedServers, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name="aiohttp")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(MissingDependency, match=r'needs the package aiohttp; .*"hashgrain\[aiohttp\]"'):
        run(triton.http, AsyncHashEncoder.encode)  # type: ignore[arg-type]
