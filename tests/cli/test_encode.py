"""`hashgrain encode`, from the command line to the file or the index."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis

from embedded_servers import EmbeddedServers
from hashgrain.cli.main import main
from hashgrain.client import HashEncoder
from hashgrain.client.sinks.codes_file import read_codes
from hashgrain.codes import CodeLayout
from hashgrain.indexer import Index
from pictures import arrays, file_bytes, write_tree
from tiny_model import write_tiny_repository
from triton_metrics import metrics, serving


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, for runs in process."""
    root = tmp_path_factory.mktemp("models")
    write_tiny_repository(root)
    return root


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("HASHGRAIN_TRITON", "HASHGRAIN_REDIS", "HASHGRAIN_HOME"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: object) -> int:
    """Run `hashgrain encode` and return its exit code."""
    try:
        main(["encode", *map(str, arguments)])
    except SystemExit as stopped:
        return int(stopped.code or 0)
    return 0


@pytest.mark.parametrize(("asked", "makes_way"), [([], True), (["--make-way"], True), (["--full-speed"], False)])
def test_bulk_encoding_makes_way_unless_it_is_told_not_to(
    triton: EmbeddedServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[str], makes_way: bool
) -> None:
    real, told = HashEncoder.__init__, list[bool]()

    def noted(self: HashEncoder, *arguments: Any, **settings: Any) -> None:
        told.append(settings["make_way"])
        real(self, *arguments, **settings)

    monkeypatch.setattr(HashEncoder, "__init__", noted)
    write_tree(tmp_path / "photos", arrays(2))
    assert run("photos", "--out", "codes.parquet", "--triton", triton.grpc, *asked) == 0
    assert told == [makes_way]


def test_a_folder_through_triton_into_a_file(
    triton: EmbeddedServers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = arrays(9)
    names = write_tree(tmp_path / "photos", pictures)
    assert run("photos", "--out", "codes.parquet", "--triton", triton.grpc, "--batch", 4, "--in-flight", 2) == 0
    said = capsys.readouterr()
    assert said.out.startswith(
        "encoded 9 images into codes.parquet (16-bit coarse and 64-bit fine codes, model "
        f"{triton.contract.fingerprint[:12]}), "
    )
    assert said.err == ""
    stored = read_codes("codes.parquet")
    assert stored.ids == names
    assert stored.fingerprint == triton.contract.fingerprint
    assert stored.codes.coarse_logits is None
    with HashEncoder(triton.repository) as encoder:
        expected = encoder.encode([tmp_path / "photos" / name for name in names])
    assert np.array_equal(stored.codes.fine, expected.fine)


def test_logits_on_request(repository: Path) -> None:
    write_tree(Path("photos"), arrays(2))
    assert run("photos", "--out", "c.parquet", "--triton", repository, "--logits") == 0
    assert read_codes("c.parquet").codes.fine_logits is not None


def test_a_folder_into_an_index_that_is_missing_and_again(
    repository: Path, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = arrays(6)
    names = write_tree(Path("photos"), pictures)
    for _ in range(2):
        assert run("photos", "--index", "photos", "--triton", repository, "--redis", redis_url) == 0
        assert "encoded 6 images into the index photos (" in capsys.readouterr().out
    with Index.open(redis_url, "photos") as index, HashEncoder(repository) as encoder:
        assert len(index) == 6
        assert index.fingerprint == encoder.fingerprint
        for name in names:
            (hit,) = index.search(encoder.encode([Path("photos") / name]), k=1)
            assert hit.ids[0] == name


def test_an_index_of_another_model_is_refused_before_the_work(
    repository: Path, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tree(Path("photos"), arrays(2))
    Index.create(redis_url, "other", CodeLayout(16, 64), fingerprint="f" * 32).close()
    Index.create(redis_url, "longer", CodeLayout(16, 128)).close()
    assert run("photos", "--index", "other", "--triton", repository, "--redis", redis_url) == 1
    assert "holds codes of model" in capsys.readouterr().err
    assert run("photos", "--index", "longer", "--triton", repository, "--redis", redis_url) == 1
    assert "128-bit fine codes, got 16-bit coarse and 64-bit fine codes" in capsys.readouterr().err
    with Index.open(redis_url, "other") as index:
        assert len(index) == 0


def test_unreadable_images_are_told_and_the_rest_is_encoded(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tree(Path("photos"), arrays(3))
    Path("photos/broken.jpg").write_text("not an image")
    Path("photos/cut.jpg").write_bytes(file_bytes(arrays(1, height=200, width=200)[0], "JPEG")[:-900])
    Path("photos/empty.png").touch()
    assert run("photos", "--out", "c.parquet", "--triton", repository, "--rejected", "bad.jsonl") == 0
    said = capsys.readouterr()
    assert said.out.startswith("encoded 3 images into c.parquet")
    assert said.err.splitlines()[0] == "left out 3 that cannot be read:"
    assert "  broken.jpg: not an image in a format that Pillow reads" in said.err.splitlines()
    assert "  empty.png: the file is empty" in said.err.splitlines()
    rejected = [json.loads(line) for line in Path("bad.jsonl").read_text().splitlines()]
    assert [each["id"] for each in rejected] == ["broken.jpg", "cut.jpg", "empty.png"]
    assert "truncated" in rejected[1]["reason"]
    assert len(read_codes("c.parquet").ids) == 3


def test_of_many_unreadable_images_only_the_first_are_told(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tree(Path("photos"), arrays(1))
    for n in range(14):
        Path(f"photos/{n}.jpg").touch()
    assert run("photos", "--out", "c.parquet", "--triton", repository) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 12
    assert lines[-1] == "  and 4 more; --rejected FILE writes them all"


def test_json(triton: EmbeddedServers, capsys: pytest.CaptureFixture[str]) -> None:
    write_tree(Path("photos"), arrays(2))
    Path("photos/empty.png").touch()
    assert run("photos", "--out", "c.parquet", "--triton", triton.http, "--json") == 0
    said = capsys.readouterr()
    answer = json.loads(said.out)
    assert said.err == ""
    assert answer.pop("seconds") >= 0
    assert answer.pop("images_per_second") > 0
    assert answer.pop("server")["name"] == "triton"
    stages = answer.pop("stages")
    assert list(stages) == ["read", "decode", "infer", "write"]
    assert all(stage["thread_seconds"] >= stage["busy_seconds"] >= 0 for stage in stages.values())
    assert answer == {
        "out": "c.parquet",
        "encoded": 2,
        "reused": 0,
        "unchanged": 0,
        "rejected": [{"id": "empty.png", "reason": "the file is empty"}],
        "quarantined": 0,
        "bytes_read": sum(path.stat().st_size for path in Path("photos").rglob("*.png")),
        "model": {
            "fingerprint": triton.contract.fingerprint,
            "coarse_bits": 16,
            "fine_bits": 64,
            "version": "1",
        },
    }


def test_energy_is_told_where_the_server_tells_of_it(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In words, in JSON and on the page; without a GPU none of them mentions it."""
    write_tree(Path("photos"), arrays(4))
    counted = [metrics(joules) for joules in ("100", "110", "110", "130")]
    with serving([*counted, metrics(), metrics()]) as address:
        options = ("--out", "c.parquet", "--triton", repository, "--metrics", address)
        assert run("photos", *options, "--report", "page.html") == 0
        assert "the server's GPUs took 10 J, 2.5 J an image\n" in capsys.readouterr().out
        assert "<b>10 J</b>" in Path("page.html").read_text()
        assert run("photos", *options, "--json") == 0
        assert json.loads(capsys.readouterr().out)["joules"] == 20
        assert run("photos", *options, "--report", "page.html") == 0
        assert "GPUs" not in capsys.readouterr().out + Path("page.html").read_text()


def test_with_a_ledger_the_same_command_does_only_what_is_left(
    repository: Path, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tree(Path("photos"), arrays(6))
    Path("photos/empty.png").touch()
    options = ("--ledger", "job.ledger", "--triton", repository, "--redis", redis_url)
    assert run("photos", "--index", "photos", *options) == 0
    assert "encoded 6 images" in capsys.readouterr().out
    Path("photos/more.png").write_bytes(file_bytes(arrays(1, seed=5)[0]))
    assert run("photos", "--index", "photos", *options) == 0
    said = capsys.readouterr()
    assert "encoded 1 images into the index photos" in said.out
    assert "also 6 unchanged since an earlier run, 1 rejected by an earlier run and unchanged" in said.out
    assert said.err == ""
    assert run("photos", "--index", "photos", *options, "--retry-rejected") == 0
    assert "left out 1 that cannot be read:" in capsys.readouterr().err
    assert run("photos", "--out", "c.parquet", *options[:4]) == 0
    assert "also 7 whose codes were known" in capsys.readouterr().out
    stored = read_codes("c.parquet")
    with HashEncoder(repository) as encoder:
        assert np.array_equal(stored.codes.fine, encoder.encode([f"photos/{name}" for name in stored.ids]).fine)


@pytest.mark.parametrize("loss", ["dropped", "deleted from"])
def test_an_index_that_lost_items_gets_them_again_without_encoding(
    repository: Path, redis_url: str, capsys: pytest.CaptureFixture[str], loss: str
) -> None:
    names = write_tree(Path("photos"), arrays(6))
    options = ("--index", "photos", "--ledger", "job.ledger", "--triton", repository, "--redis", redis_url)
    assert run("photos", *options) == 0
    with Index.open(redis_url, "photos") as index:
        if loss == "dropped":
            index.drop()
        else:
            index.delete(names[:2])
    capsys.readouterr()
    assert run("photos", *options) == 0
    said = capsys.readouterr()
    assert ("holds 4 items and had acknowledged 6" in said.err) is (loss == "deleted from")
    assert "encoded 0 images" in said.out
    assert "also 6 whose codes were known" in said.out
    with Index.open(redis_url, "photos") as index:
        assert len(index) == 6


@pytest.mark.parametrize("ledger", [(), ("--ledger", "job.ledger")])
def test_a_page_of_the_run_names_what_cannot_be_read(repository: Path, ledger: tuple[str, ...]) -> None:
    write_tree(Path("photos"), arrays(3))
    Path("photos/<b>.jpg").touch()
    assert run("photos", "--out", "c.arrow", "--report", "r.html", "--triton", repository, *ledger) == 0
    first = Path("r.html").read_text()
    assert run("photos", "--out", "c.arrow", "--report", "r.html", "--triton", repository, *ledger) == 0
    for page in (first, Path("r.html").read_text()):  # what an earlier run rejected is still there
        assert "<tr><td>&lt;b&gt;.jpg</td><td>the file is empty</td></tr>" in page
        assert "1 that cannot be read" in page
    assert "<b>3</b><span>encoded</span>" in first


def test_a_ledger_of_another_model_is_refused(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tree(Path("photos"), arrays(2))
    write_tiny_repository(tmp_path / "other", seed=1)
    assert run("photos", "--out", "c.parquet", "--ledger", "job.ledger", "--triton", repository) == 0
    assert run("photos", "--out", "d.parquet", "--ledger", "job.ledger", "--triton", tmp_path / "other") == 1
    assert "the ledger job.ledger holds codes of model" in capsys.readouterr().err


def test_work_that_breaks_off_says_how_to_go_on(
    repository: Path, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tree(Path("photos"), arrays(4))
    options = ("--index", "photos", "--ledger", "job.ledger", "--triton", repository, "--redis", redis_url)
    redis.Redis.from_url(redis_url).config_set("maxmemory", 1)
    try:
        assert run("photos", *options) == 1
    finally:
        redis.Redis.from_url(redis_url).config_set("maxmemory", 0)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "what is done stands in job.ledger: run the same command again, and it goes on from there"
    assert lines[1].startswith("error: ")
    assert run("photos", *options) == 0
    with Index.open(redis_url, "photos") as index:
        assert len(index) == 4


def test_a_list_on_standard_input(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = write_tree(Path("photos"), arrays(3))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"".join(f"photos/{n}\n".encode() for n in names))))
    assert run("-", "--out", "c.parquet", "--triton", repository) == 0
    assert read_codes("c.parquet").ids == [f"photos/{name}" for name in names]


def test_parquet_with_ids_and_payloads_into_an_index(repository: Path, redis_url: str) -> None:
    images = [file_bytes(picture) for picture in arrays(3)]
    pq.write_table(pa.table({"image": images, "sku": [7, 8, 9], "price": [1, 2, 3]}), "shop.parquet")
    options = ("--id-column", "sku", "--payload", "price", "--triton", repository, "--redis", redis_url)
    assert run("shop.parquet", "--index", "shop", *options) == 0
    with Index.open(redis_url, "shop") as index, HashEncoder(repository) as encoder:
        (hit,) = index.search(encoder.encode(images[1:2]), k=1)
    assert hit.ids == [8]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["photos"], 2, "say where the codes go: either --out FILE or --index NAME"),
        (["photos", "--out", "c.parquet", "--index", "i"], 2, "either --out FILE or --index NAME"),
        (["photos", "--index", "i", "--logits"], 2, "--logits goes with --out"),
        (["photos", "--out", "c.parquet", "--batch", "0"], 2, "x>=1"),
        (["photos", "--out", "c.parquet", "--verify"], 2, "--verify and --retry-rejected go with --ledger FILE"),
        (["photos", "--out", "c.parquet", "--logits", "--ledger", "l"], 2, "--logits goes without --ledger"),
        (["photos", "--out", "c.parquet", "--ledger", "no/l"], 1, "there is no folder no; create it first"),
        (["--out", "c.parquet"], 2, "Missing argument 'SOURCE...'"),
        (["nowhere", "--out", "c.parquet"], 1, "there is no nowhere; give a folder"),
        (["empty", "--out", "c.parquet"], 1, "empty holds no images"),
        (["empty.txt", "--out", "c.parquet"], 1, "empty.txt names no images"),
        (["broken", "--out", "c.parquet"], 1, "none of 2 images can be read; the first: 0.jpg: the file is empty"),
        (["photos", "--out", "no/c.parquet"], 1, "give a folder that exists"),
        (["photos", "--out", "c.parquet", "--rejected", "no/bad.jsonl"], 1, "there is no folder no"),
        (["photos", "--out", "c.parquet", "--report", "no/r.html"], 1, "there is no folder no"),
        (["photos", "--out", "c.csv"], 1, "give one of .parquet, .arrow, .feather, .npy"),
        (["phot*s/*.gif", "--out", "c.parquet"], 1, "nothing matches phot*s/*.gif"),
        (["photos", "--out", "c.parquet", "--id-column", "id"], 1, "no .parquet file is among photos"),
        (["photos", "--out", "c.parquet", "--triton", "grpc://127.0.0.1:1"], 1, "no Triton server answers"),
        (["photos", "--out", "c.parquet", "--triton", "nowhere"], 1, "neither an address nor a path"),
    ],
)
def test_what_goes_wrong_is_said_and_leaves_nothing_behind(
    repository: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, says: str
) -> None:
    write_tree(Path("photos"), arrays(2))
    Path("empty").mkdir()
    Path("empty.txt").touch()
    Path("broken").mkdir()
    for n in range(2):
        Path(f"broken/{n}.jpg").touch()
    before = set(Path().iterdir())
    assert run(*arguments, *([] if "--triton" in arguments else ["--triton", repository])) == code
    assert says in capsys.readouterr().err
    assert set(Path().iterdir()) == before


def test_an_index_is_not_created_for_nothing(repository: Path, redis_url: str) -> None:
    Path("broken").mkdir()
    Path("broken/0.jpg").touch()
    assert run("broken", "--index", "i", "--triton", repository, "--redis", redis_url) == 1
    write_tree(Path("photos"), arrays(1))
    assert run("photos", "--index", "bad name", "--triton", repository, "--redis", redis_url) == 1
    assert redis.Redis.from_url(redis_url).dbsize() == 0


def test_a_redis_that_is_not_there(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tree(Path("photos"), arrays(1))
    assert run("photos", "--index", "i", "--triton", repository, "--redis", "redis://127.0.0.1:1/0") == 1
    assert "127.0.0.1:1" in capsys.readouterr().err


def test_no_server_given_and_none_started(capsys: pytest.CaptureFixture[str]) -> None:
    write_tree(Path("photos"), arrays(1))
    assert run("photos", "--out", "c.parquet") == 1
    assert "hashgrain up" in capsys.readouterr().err


def test_help_says_what_an_id_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    assert "An image's id is its path relative to the folder" in capsys.readouterr().out
