"""`hashgrain index health`: figures for people, for programs, and as pictures."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hashgrain.cli.main import main
from hashgrain.codes import CodeLayout
from hashgrain.indexer import Index
from random_codes import random_codes

LAYOUT = CodeLayout(16, 64)


def test_it_prints_and_draws(
    redis_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HASHGRAIN_REDIS", redis_url)
    with Index.create(redis_url, "photos", LAYOUT, bucket_items=16) as index:
        index.add([f"i{n}" for n in range(200)], random_codes(200, LAYOUT, flips=0.3), [{"n": n} for n in range(200)])

    def run(*arguments: object) -> str:
        with pytest.raises(SystemExit) as exited:
            main(["index", "health", "photos", *map(str, arguments)])
        assert not exited.value.code
        return capsys.readouterr().out

    page = tmp_path / "health.html"
    lines = dict(line.split(maxsplit=1) for line in run("--plot", page).splitlines())
    assert lines["index"] == "photos, 200 items"
    assert "recall@10 1.000 against exhaustive search for 100 sampled items" in lines["default"]
    _, *charts = page.read_text().split("<svg")
    assert len(charts) == 4
    for chart in charts:
        drawn = ElementTree.fromstring("<svg" + chart[: chart.index("</svg>")] + "</svg>")
        assert len(list(drawn.iter())) > 20
    figures = json.loads(run("--json", "--queries", 7))
    assert (figures["items"], figures["queries"]) == (200, 7)
    assert len(figures["fine_ones"]) == 64
    assert set(figures["memory_of"]) == {"buckets", "places", "names", "payloads", "rest"}
