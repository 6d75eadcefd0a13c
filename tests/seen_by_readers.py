"""What a reader beside writers must see: each writer's items as after one of its steps, and not too early a one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hashgrain.codes import HashCodes
from hashgrain.indexer import Hit
from hashgrain.indexer.stored.handles import handles_of, shards_of
from hashgrain.indexer.stored.identifiers import encode_ids
from write_history import LAYOUT, Row, Workload, history

State = dict[str | int, Row]
Answer = dict[str | int, tuple[int, Any]]


def home_shards(ids: Sequence[str | int], shards: int) -> dict[str | int, int]:
    """By id, the shard that it belongs to."""
    return dict(zip(ids, shards_of(handles_of(encode_ids(ids)), shards).tolist(), strict=True))


def require_orderly(hit: Hit, question: dict[str, Any]) -> None:
    """No id twice, no more than k, none too far, and the nearest first."""
    k, distances = question["k"], hit.distances.tolist()
    assert len(set(hit.ids)) == len(hit.ids) <= k, f"{len(hit.ids)} ids, {len(set(hit.ids))} different ones, k {k}"
    assert distances == sorted(distances), distances
    assert all(distance <= question.get("within", distance) for distance in distances), (question, distances)
    if not hit.partial:
        assert hit.complete_radius >= question.get("radius", -1), (question, hit.complete_radius)
        assert hit.exact or not ("exact" in question or "within" in question), question


class Owner:
    """One writer as one reader knows it, where nobody else writes that writer's ids.

    Each shard of an answer must be equal to that shard of the writer's items after one step: none that a later
    acknowledged one had followed before the search began, none that was not begun when it ended, and none before the
    one that the reader saw last. Only a payload may be newer, see `_payloads`.
    """

    def __init__(self, workload: Workload, writer: int) -> None:
        self._writes = history(workload, writer)
        self._shards = home_shards(workload.ids(writer), workload.shards)
        self._writer, self._first = writer, -1
        self._states: list[State] = [{}]
        self._seen = [-1] * workload.shards
        self.moves = 0

    def owns(self, item: str | int) -> bool:
        return item in self._shards

    def require(
        self, answers: Iterable[tuple[Hit, HashCodes]], question: dict[str, Any], done: int, begun: int
    ) -> None:
        """Check the answers of one search call, of which each query may have been answered at a moment of its own.

        Args:
            answers: with their queries.
            question: what `search` was given.
            done: the last step that was acknowledged before the call.
            begun: the last that was begun when it returned.
        """
        self._follow(done, begun)
        latest = list(self._seen)
        for hit, query in answers:
            found = answer(hit)
            for shard, seen in enumerate(self._seen):
                mine = {item: said for item, said in found.items() if self._shards.get(item) == shard}
                possible = range(max(done, seen), begun + 1)
                step = next((n for n in possible if not self._objection(n, shard, mine, hit, query, question)), None)
                if step is None:
                    objections = {n: self._objection(n, shard, mine, hit, query, question) for n in possible}
                    raise AssertionError(
                        f"writer {self._writer}, shard {shard}, {question}: no step of {possible} fits: {objections}"
                    )
                latest[shard] = max(latest[shard], step)
        self.moves += latest != self._seen
        self._seen = latest

    def final(self) -> State:
        """Its items after all of its steps."""
        self._follow(self._first, 10**9)
        return self._states[-1]

    def _follow(self, done: int, begun: int) -> None:
        """Have the states from the oldest that may still be seen to the one after step `begun`."""
        while self._first + len(self._states) - 1 < begun and (write := next(self._writes, None)):
            changed = {**self._states[-1], **write.rows()}
            self._states.append({item: row for item, row in changed.items() if row is not None})
        oldest = min(max(done, seen) for seen in self._seen)
        self._states = self._states[oldest - self._first :]
        self._first = oldest

    def _objection(
        self, step: int, shard: int, mine: Answer, hit: Hit, query: HashCodes, question: dict[str, Any]
    ) -> str | None:
        state = self._states[step - self._first]
        for item, said in mine.items():
            if item not in state:
                return f"{item!r} is deleted, found as {said}"
            distance, payloads = state[item].distances(query)[question["rank"]], self._payloads(step, item)
            if said[0] != distance or said[1] not in (payloads if question["payloads"] else [None]):
                return f"{item!r} is {distance, payloads}, found as {said}"
        for item, row in state.items():
            if self._shards[item] == shard and item not in mine and must_be_found(row, hit, query, question):
                return f"{item!r} is {row.distances(query)}, not found"
        return None

    def _payloads(self, step: int, item: str | int) -> list[Any]:
        """What an item that was read as after a step may be told to carry, since payloads are read after the codes.

        That, or what a later write gave it together with the very same code.
        """
        later = [state[item] for state in self._states[step - self._first :] if item in state]
        return [row.payload for row in later if (row.coarse, row.fine) == (later[0].coarse, later[0].fine)]


def answer(hit: Hit) -> Answer:
    """By id, the distance and the payload."""
    payloads: Sequence[Any] = [None] * len(hit.ids) if hit.payloads is None else hit.payloads
    return dict(zip(hit.ids, zip(hit.distances.tolist(), payloads, strict=True), strict=True))


def must_be_found(row: Row, hit: Hit, query: HashCodes, question: dict[str, Any]) -> bool:
    """Whether an answer may not lack an item, by what it says of itself: its `complete_radius`, or that it is exact."""
    distances = row.distances(query)
    distance = distances[question["rank"]]
    if distances["coarse"] > (LAYOUT.coarse_bits if hit.exact else hit.complete_radius):
        return False
    if distance > question.get("within", distance):
        return False
    return len(hit.ids) < question["k"] or distance < hit.distances[-1]


class Rivals:
    """All writers as one reader knows them, where they write the same ids, each item stamped with its write."""

    def __init__(self, workload: Workload) -> None:
        self._writes: list[dict[str | int, dict[int, Row | None]]] = [{} for _ in range(workload.writers)]
        for writer, mine in enumerate(self._writes):
            for write in history(workload, writer):
                for item, row in write.rows().items():
                    mine.setdefault(item, {})[write.step] = row

    def require(self, hit: Hit, query: HashCodes, question: dict[str, Any], done: list[int], begun: list[int]) -> None:
        """That every item is as a write left it that its writer had begun, and had not itself followed by another."""
        for item, (distance, payload) in answer(hit).items():
            row = self._writes[payload["by"]][item][payload["step"]]
            assert row is not None
            assert row.distances(query)[question["rank"]] == distance, (item, row, distance)
            assert payload["step"] in self._possible(payload["by"], item, done, begun), (item, payload, done, begun)
        if len(hit.ids) < question["k"] and question.get("exact") and not hit.partial:
            for item in self.items() - set(hit.ids):
                possible = [self._possible(writer, item, done, begun) for writer in range(len(self._writes))]
                assert any(row is None for rows in possible for row in rows.values()), (item, "absent", possible)

    def items(self) -> set[str | int]:
        return {item for mine in self._writes for item in mine}

    def last(self, writer: int, item: str | int) -> tuple[int, Row | None]:
        """A writer's last write of an item: its step, and what it left."""
        return max(self._writes[writer].get(item, {-1: None}).items(), key=lambda write: write[0])

    def _possible(self, writer: int, item: str | int, done: list[int], begun: list[int]) -> dict[int, Row | None]:
        """By step, what a writer's last write of an item may have left; -1 stands for none so far."""
        steps = {-1: None, **self._writes[writer].get(item, {})}
        oldest = max(step for step in steps if step <= done[writer])
        return {step: row for step, row in steps.items() if oldest <= step <= begun[writer]}
