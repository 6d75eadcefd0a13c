"""Places for requests: bulk ones make way for others, and whoever waits is woken."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hashgrain.client.encoding.slots import AsyncSlots, Slots
from hashgrain.client.encoding.small_requests import SmallRequests
from hashgrain.client.wire.in_flight import InFlight, ModelStatistics

WAIT_S = 10.0


def seen() -> SmallRequests:
    """Others have just sent a picture."""
    found = SmallRequests(16)
    found.look(ModelStatistics(0, 0, 0, 0), 0.0)
    found.look(ModelStatistics(0, 0, 1, 1), 1.0)
    assert found.lately
    return found


def test_one_bulk_request_is_under_way_while_others_send_small_ones() -> None:
    slots = Slots(InFlight(4, 4), seen())
    begun, most, busy, lock = threading.Barrier(4), 0, 0, threading.Lock()

    def bulk() -> None:
        nonlocal most, busy
        begun.wait(WAIT_S)
        for _ in range(50):
            with slots.taken(bulk=True):
                with lock:
                    busy += 1
                    most = max(most, busy)
                with lock:
                    busy -= 1

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(bulk) for _ in range(4)]:
            done.result(WAIT_S)
    assert most == 1


@pytest.mark.parametrize("small_requests", [None, SmallRequests(16)])
def test_all_places_are_bulks_where_nobody_sends_small_ones(small_requests: SmallRequests | None) -> None:
    slots, inside = Slots(InFlight(4, 4), small_requests), threading.Barrier(4)

    def bulk() -> None:
        with slots.taken(bulk=True):
            inside.wait(WAIT_S)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(bulk) for _ in range(4)]:
            done.result(WAIT_S)


def test_online_requests_pass_a_bulk_one_that_waits() -> None:
    slots, order = Slots(InFlight(2, 2), seen()), list[str]()

    def work(kind: str) -> None:
        with slots.taken(bulk=kind == "bulk"):
            order.append(kind)

    with ThreadPoolExecutor(2) as pool, slots.taken(bulk=False):
        with slots.taken(bulk=False):
            waiting = [pool.submit(work, "bulk")]
            while not slots._free._waiters:  # type: ignore[attr-defined]
                time.sleep(0.001)
            waiting.append(pool.submit(work, "online"))
        waiting[1].result(WAIT_S)
        assert order == ["online"]
    waiting[0].result(WAIT_S)


def test_tasks_make_way_as_threads_do() -> None:
    async def work() -> None:
        slots, order = AsyncSlots(InFlight(2, 2), seen()), list[str]()

        async def ask(kind: str) -> None:
            async with slots.taken(bulk=kind == "bulk"):
                order.append(kind)

        async with slots.taken(bulk=False):
            async with slots.taken(bulk=False):
                bulk, gone, online = (asyncio.create_task(ask(kind)) for kind in ("bulk", "online", "online"))
                await asyncio.sleep(0)
                gone.cancel()
            await asyncio.wait_for(online, WAIT_S)
            assert order == ["online"]
        await asyncio.wait_for(bulk, WAIT_S)

    asyncio.run(work())
