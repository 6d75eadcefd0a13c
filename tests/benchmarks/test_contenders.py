"""Rounds of timing, the choice of settings, targets and their report, and the command line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.contenders import Contender, Measured, cheapest, measure
from benchmarks.lookup import parse
from benchmarks.own_index import BesideWriter, Floor, Loaded
from benchmarks.recall import K
from benchmarks.report import Run, report, targets
from benchmarks.targets import Target
from hashgrain.codes import CodeLayout, HashCodes
from random_codes import random_codes

LAYOUT = CodeLayout(16, 64)


def contender(name: str, distances: list[int], rate: bool = True) -> Contender:
    return Contender(name, lambda query: np.array(distances), (lambda queries: None) if rate else None)


def test_every_query_is_answered_by_every_contender() -> None:
    codes = random_codes(23, LAYOUT)
    asked: list[HashCodes] = []

    def search(query: HashCodes) -> np.ndarray:
        asked.append(query)
        return np.full(K, 3)

    right, wrong = measure(
        [Contender("right", search), contender("wrong", [4] * K)], codes, codes, np.full(len(codes), 3)
    )
    assert (right.recall, wrong.recall) == (1.0, 0.0)
    assert right.rate is None
    assert wrong.rate is not None
    assert all(len(query) == 1 for query in asked)
    assert {query.fine.tobytes() for query in asked} == {row.tobytes() for row in codes.fine}
    assert right.p50 <= right.p99


def test_a_querys_answer_is_held_against_its_own_limit() -> None:
    codes = random_codes(10, LAYOUT)
    limits = {code.tobytes(): row for row, code in enumerate(codes.fine)}
    echo = Contender("echo", lambda query: np.full(K, limits[query.fine[0].tobytes()]))
    (found,) = measure([echo], codes, codes, np.arange(10))
    assert found.recall == 1.0


@pytest.mark.parametrize(("recall", "chosen"), [(0.3, 10), (0.5, 10), (0.6, 20), (1.0, 30), (1.1, 40)])
def test_cheapest_setting_that_reaches_the_recall_is_chosen(recall: float, chosen: int) -> None:
    right = {10: 5, 20: 8, 30: 10, 40: 10}
    kth = np.array([7])
    found = cheapest(right, lambda setting: [np.array([7] * right[setting] + [8] * (K - right[setting]))], kth, recall)
    assert found == chosen


def test_choosing_from_no_settings_is_refused() -> None:
    with pytest.raises(ValueError, match="no settings"):
        cheapest([], lambda setting: [], np.array([1]))


@pytest.mark.parametrize(
    ("target", "verdict"),
    [
        (Target("time", 2.0, 2.0), "met"),
        (Target("time", 5.0, 2.0), "missed by 2.50 x"),
        (Target("rate", 2.0, 2.0, at_most=False), "met"),
        (Target("rate", 0.5, 2.0, at_most=False), "missed by 4.00 x"),
        (Target("rate", 0.0, 2.0, at_most=False), "missed"),
    ],
)
def test_targets_say_by_what_factor_they_are_missed(target: Target, verdict: str) -> None:
    assert target.verdict() == verdict
    assert target.line().endswith(verdict)


def test_target_that_was_not_measured_says_so() -> None:
    assert Target("x", None, 5).line().endswith("not measured")


def a_run(*peers: str) -> Run:
    names = ("cold", "cold exact", "hot", "hot exact", "flat", "IVF", *peers)
    rows = [
        Measured(Contender(name, lambda query: np.zeros(K), None), 0.99, 1.0 + place, 9.0, 100.0 * (1 + place))
        for place, name in enumerate(names)
    ]
    loaded, beside = Loaded(50_000, 30, 28), BesideWriter(1, 4, 70_000)
    return Run(LAYOUT, 50_000, 500, 1000, ["Valkey 9"], rows, ["not in this run: x"], loaded, replace(loaded, size=50),
               1.1, Floor(1000, 0.05, 0.1), 20, beside, replace(beside, beside=8, upserts=60_000),
               replace(beside, beside=99, upserts=50_000))  # fmt: skip


def test_report_has_a_row_for_each_system_and_every_target_with_its_verdict() -> None:
    lines = report(a_run("pgvector ef", "Redis vector set BIN")).splitlines()
    for name in ("cold exact", "IVF", "pgvector ef", "Redis vector set BIN"):
        assert sum(line.startswith(name) for line in lines) == 1, name
    assert "not in this run: x" in lines
    assert "targets (stated for 1,000,000 items; here 50,000)" in lines
    assert any("10.0 times one GET" in line for line in lines)
    assert not any("no setting of it" in line for line in lines)


def test_report_names_what_reaches_the_recall_with_no_setting() -> None:
    run = a_run("pgvector ef")
    rows = [*run.rows[:-1], replace(run.rows[-1], recall=0.98)]
    assert "no setting of it reaches recall 0.99: pgvector ef" in report(replace(run, rows=rows)).splitlines()


def test_report_tells_of_searches_that_were_refused_beside_a_writer() -> None:
    run = a_run()
    assert "were refused" not in report(run)
    told = report(replace(run, hot_beside=replace(run.hot_beside, beside=float("inf"), refused=2, asked=10)))
    assert "; 2 of 10 searches were refused" in told
    assert "missed by inf x" in told


def test_targets_take_the_quicker_search_and_the_worse_reader_and_name_what_was_not_measured() -> None:
    found = {target.what.split(" (")[0]: target.value for target in targets(a_run("pgvector ef"))}
    assert found["hot single query, p50 / Faiss IVF's at the same recall"] == 3 / 6
    assert found["hot batches, queries/s / Faiss IVF's"] == 400 / 600
    assert found["pgvector's p50 / cold p50"] == 7
    assert found["Redis vector sets' p50 / cold p50"] is None
    assert found["memory in Redis, string ids, beyond their bytes"] == 50 - len("item-00000000")
    assert found["reader's p99 beside a writer / alone"] == 8
    assert found["replacing items while a reader searches"] == 60_000
    assert found["exact hot scan: Faiss flat's p50 / ours, one core"] == 5 / 4


def test_targets_count_a_searcher_that_may_be_stale_and_stage_one_where_they_were_measured() -> None:
    run = a_run()
    stale = [replace(run.rows[2], p50=0.6, rate=1200.0), replace(run.rows[3], p50=0.5, rate=None)]
    told = targets(replace(run, stale=stale, stage_one_us=7.0))
    found = {target.what.split(" (")[0]: target.value for target in told}
    assert found["hot single query, p50 / Faiss IVF's at the same recall"] == 0.5 / 6
    assert found["hot batches, queries/s / Faiss IVF's"] == 1200 / 600
    assert found["exact hot scan: Faiss flat's p50 / ours, one core"] == 5 / 0.5
    assert found["stage one alone: the nearest 100 of 50,000 buckets"] == 7.0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--items", "9999"], "--items must be 10,000 to 100,000,000, got 9,999"),
        (["--queries", "50"], "--queries must be 100 to 1,000, got 50"),
        (["--fine-bits", "96"], "invalid choice: 96"),
        (["--pgvector", "redis://x"], "--pgvector takes an address that begins with postgresql://"),
        (["--vector-sets", "localhost"], "got 'localhost'"),
    ],
)
def test_command_line_refuses_what_cannot_be_measured(words: list[str], said: str, capsys) -> None:
    with pytest.raises(SystemExit) as end:
        parse(words)
    assert end.value.code == 2
    assert said in capsys.readouterr().err
