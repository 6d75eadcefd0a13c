"""Files at addresses: over a real web server that fails at times, and in fsspec's memory."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hashgrain.client import HashEncoder
from hashgrain.client.bulk.job import encode_collection
from hashgrain.client.sinks.codes_file import CodesFile, read_codes
from hashgrain.client.sources.open_source import ParquetColumns, open_sources
from hashgrain.client.sources.remote import RemoteImage
from hashgrain.client.wire import retry
from hashgrain.codes.errors import DataError, ImageRejected, MissingDependency
from pictures import arrays, file_bytes, write_tree
from tar_files import write_tar


class Unsteady(SimpleHTTPRequestHandler):
    """Fails the first two times that a file whose name has "unsteady" in it is asked for."""

    asked: ClassVar[Counter[str]] = Counter()

    def do_GET(self) -> None:
        self.asked[self.path] += 1
        if "unsteady" in self.path and self.asked[self.path] <= 2:
            self.send_error(503)
        elif "forbidden" in self.path:
            self.send_error(403)
        else:
            super().do_GET()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A web server over tmp_path/web."""
    monkeypatch.setattr(retry, "FIRST_PAUSE", 0.01)
    Unsteady.asked.clear()
    (tmp_path / "web").mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Unsteady, directory=str(tmp_path / "web")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_list_of_addresses_with_failures_that_pass_and_that_do_not(web: str, tmp_path: Path, model: Path) -> None:
    pictures = arrays(4)
    for name, picture in zip(("a.png", "unsteady.png", "forbidden.png", "b.png"), pictures, strict=True):
        (tmp_path / "web" / name).write_bytes(file_bytes(picture))
    names = ("a.png", "unsteady.png", "forbidden.png", "missing.png", "b.png")
    (tmp_path / "list.txt").write_text("".join(f"{web}/{name}\n" for name in names))
    with HashEncoder(model) as encoder:
        with CodesFile(tmp_path / "c.parquet", encoder.layout, encoder.fingerprint) as file:
            receipt = encode_collection(encoder, open_sources((str(tmp_path / "list.txt"),)), file)
        expected = encoder.encode(pictures[[0, 1, 3]])
    stored = read_codes(tmp_path / "c.parquet")
    assert stored.ids == [f"{web}/{name}" for name in ("a.png", "unsteady.png", "b.png")]
    assert np.array_equal(stored.codes.fine, expected.fine)
    assert [image.name for image in receipt.rejected] == [f"{web}/forbidden.png", f"{web}/missing.png"]
    assert "cannot be fetched (403" in receipt.rejected[0].reason
    assert receipt.rejected[1].reason == "there is no such file"
    assert Unsteady.asked["/unsteady.png"] == 3
    assert Unsteady.asked["/forbidden.png"] == 1


def test_archives_parquet_files_and_lists_at_addresses(web: str, tmp_path: Path) -> None:
    write_tar(tmp_path / "web" / "train.tar", {"0.jpg": b"a", "0.cls": b"1"})
    pq.write_table(pa.table({"file": ["x.png", f"{web}/y.png"], "sku": [1, 2]}), tmp_path / "web" / "t.parquet")
    (tmp_path / "web" / "list.txt").write_text("a.png\n")
    (archived,) = open_sources((f"{web}/train.tar",))
    assert (archived.id, archived.image, archived.payload) == ("train/0.jpg", b"a", {"label": 1})
    rows = list(open_sources((f"{web}/t.parquet",), ParquetColumns("file", "sku")))
    assert [(item.id, item.image) for item in rows] == [
        (1, RemoteImage(f"{web}/x.png")),
        (2, RemoteImage(f"{web}/y.png")),
    ]
    assert [item.id for item in open_sources((f"{web}/list.txt",))] == ["a.png"]
    with pytest.raises(DataError, match=r"missing.tar cannot be read .*check the address"):
        list(open_sources((f"{web}/missing.tar",)))


@pytest.fixture
def memory() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/", recursive=True)


def test_a_folder_at_an_address_is_as_one_on_the_disk(memory: Any, tmp_path: Path) -> None:
    names = write_tree(tmp_path / "set", arrays(4))
    for name in (*names, "notes.txt", ".hidden.png"):
        memory.pipe(f"/set/{name}", (tmp_path / "set" / name).read_bytes() if name in names else b"")
    source = open_sources(("memory://set",))
    items = list(source)
    assert [item.id for item in items] == names
    assert source.count() == 4
    assert items[0].payload == {"path": f"memory:///set/{names[0]}", "label": "cats"}
    assert items[0].image.read("") == (tmp_path / "set" / names[0]).read_bytes()  # type: ignore[union-attr]


def test_the_stamp_of_a_listed_file_changes_with_it(memory: Any) -> None:
    def stamp() -> bytes | None:
        (item,) = open_sources(("memory://set/",))
        return item.image.stamp  # type: ignore[union-attr]

    memory.pipe("/set/a.png", b"one")
    first = stamp()
    assert first is not None
    assert stamp() == first
    memory.pipe("/set/a.png", b"two")
    assert stamp() != first


def test_a_pattern_at_an_address(memory: Any) -> None:
    for name in ("a.png", "b.png", "c.jpg"):
        memory.pipe(f"/set/{name}", b"x")
    assert [item.id for item in open_sources(("memory://set/*.png",))] == ["memory:///set/a.png", "memory:///set/b.png"]
    with pytest.raises(DataError, match=r"nothing matches memory://set/\*.gif"):
        open_sources(("memory://set/*.gif",))
    with pytest.raises(DataError, match="memory://none holds no images"):
        open_sources(("memory://none",))


def test_an_address_whose_package_is_missing_says_what_to_install() -> None:
    with pytest.raises(MissingDependency, match=r'hashgrain\[remote\]", and s3fs for s3://'):
        RemoteImage("az://bucket/a.png").read("a")
    with pytest.raises(DataError, match="is no address that can be read"):
        open_sources(("nowhere://a/b.tar",)).__iter__().__next__()


def test_a_missing_file_is_rejected_at_once(memory: Any) -> None:
    with pytest.raises(ImageRejected, match="there is no such file"):
        RemoteImage("memory://none.png").read("none")
