"""The demonstration, on the servers of the suite and, with the shipped model, on servers of its own."""

import json
from html.parser import HTMLParser

import pytest

from command import hashgrain
from hashgrain.indexer import Index
from hashgrain.runtime.addresses import model_repository
from labelled_pictures import write_parquet


class Page(HTMLParser):
    """Counts what a reader would see, and what the page would fetch."""

    def __init__(self, text):
        super().__init__()
        self.sections = self.right = self.wrong = self.pictures = 0
        self.fetched = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.sections += tag == "section"
        self.right += values.get("class") == "right"
        self.wrong += values.get("class") == "wrong"
        if tag == "img":
            self.pictures += 1
            if not values["src"].startswith("data:image/png;base64,"):
                self.fetched.append(values["src"])
        self.fetched += [values[name] for name in ("href",) if name in values]


def test_demo_on_given_servers_prints_figures_and_writes_a_page(triton, tmp_path):
    data = write_parquet(tmp_path / "data", {"train": 300, "test": 40})
    page = tmp_path / "page.html"
    told = hashgrain("demo", "--data", data, "--page", page, "--triton", triton.grpc, "--redis", triton.redis, "--json")
    assert told.returncode == 0, told.stderr
    figures = json.loads(told.stdout)
    assert (figures["images"], figures["queries"]) == (300, 40)
    assert figures["encoder"].startswith("triton 2.")
    assert figures["store"].split()[0] in ("Valkey", "Redis")
    assert figures["fingerprint"] == triton.contract.fingerprint
    assert 0.5 < figures["fine_precision_at_10"] <= 1  # four colours: chance is .25
    assert figures["lookup_p50_ms"] <= figures["lookup_p99_ms"]
    with Index.open(triton.redis, "demo") as index:
        assert len(index) == 300
        index.drop()
    seen = Page(page.read_text())
    assert seen.sections == 16
    assert seen.right + seen.wrong == 16 * 20
    assert seen.right > seen.wrong
    assert seen.pictures == 16 * 21
    assert seen.fetched == []  # self-contained


def test_demo_without_data_or_network_says_that_it_draws(triton, tmp_path):
    told = hashgrain(
        "demo", "--images", "60", "--queries", "5", "--page", tmp_path / "page.html",
        "--triton", triton.grpc, "--redis", triton.redis, "--json",
        HASHGRAIN_CACHE=tmp_path / "cache", HASHGRAIN_DATA=tmp_path, HASHGRAIN_NO_DOWNLOAD="1",
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["source"] == "pictures drawn by the program"
    assert "DRAWN pictures" in told.stderr


def test_demo_with_unreadable_data_fails_before_it_indexes(triton, tmp_path):
    told = hashgrain("demo", "--data", tmp_path, "--triton", triton.grpc, "--redis", triton.redis)
    assert (told.returncode, "holds no pictures" in told.stderr) == (1, True)


@pytest.mark.slow
def test_demo_on_its_own_servers_with_the_shipped_model_and_real_pictures(cifar100, tmp_path):
    """`make demo`, smaller: it starts both servers, finds neighbours of the right kind, and stops them."""
    told = hashgrain(
        "demo", "--data", cifar100, "--images", "2000", "--queries", "200", "--page", tmp_path / "page.html", "--json",
        HASHGRAIN_HOME=tmp_path / "home", HASHGRAIN_MODEL_REPOSITORY=model_repository(),
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    figures = json.loads(told.stdout)
    assert figures["coarse_precision_at_10"] > 0.6  # chance is .05
    assert figures["fine_precision_at_10"] > 0.4  # chance is .01
    assert hashgrain("status", "--json", HASHGRAIN_HOME=tmp_path / "home").returncode == 1  # nothing runs any more
