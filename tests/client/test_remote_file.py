"""Archives at addresses over connections that break: what is lost is asked for again, what stays away is told."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hashgrain.client.sources import remote_file
from hashgrain.client.sources.open_source import open_sources
from hashgrain.client.wire import retry
from hashgrain.codes.errors import DataError, SourceUnavailable
from tar_files import write_tar

PICTURES = 24
PICTURE_BYTES = 500_000


class Server(ThreadingHTTPServer):
    """Gives files piece by piece, or as a whole only; breaks the answers whose numbers, from 0, `breaks` holds.

    Attributes:
        how: what a broken answer is: an HTTP status, or "cut" for one that ends in its midst.
        given: answers so far.
    """

    def __init__(self, files: dict[str, bytes], in_pieces: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = files
        self.in_pieces = in_pieces
        self.breaks: Callable[[int], bool] = lambda _: False
        self.how: int | str = "cut"
        self.given = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def address(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        if self.path[1:] in self.server.files:
            self._begin(200, len(self.server.files[self.path[1:]]))
        else:
            self._begin(404, 0)

    def do_GET(self) -> None:
        if self.path[1:] not in self.server.files:
            self._begin(404, 0)
            return
        number, self.server.given = self.server.given, self.server.given + 1
        data, status = self.server.files[self.path[1:]], 200
        if self.server.in_pieces and (asked := self.headers.get("Range")):
            first, _, last = asked.removeprefix("bytes=").partition("-")
            data, status = data[int(first) : int(last) + 1], 206
        broken = self.server.breaks(number)
        if broken and isinstance(self.server.how, int):
            self._begin(self.server.how, 0)
            return
        self._begin(status, len(data))
        with contextlib.suppress(OSError):  # who has what it needs of a whole file goes
            self.wfile.write(data[: len(data) // 2] if broken else data)
        self.close_connection = broken

    def _begin(self, status: int, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        if self.server.in_pieces:
            self.send_header("Accept-Ranges", "bytes")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """An archive and a Parquet file with the same pictures' bytes, which take several answers each."""
    folder, rng = tmp_path_factory.mktemp("archives"), np.random.default_rng(0)
    pictures = [rng.bytes(PICTURE_BYTES) for _ in range(PICTURES)]
    write_tar(folder / "a.tar", {f"{n:02}.jpg": picture for n, picture in enumerate(pictures)})
    pq.write_table(pa.table({"image": pictures}), folder / "a.parquet", row_group_size=4)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def server(files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(retry, "FIRST_PAUSE", 0.01)
    server = Server(files)
    yield server
    server.shutdown()
    server.server_close()


def pictures_of(server: Server, name: str) -> list[object]:
    return [item.image for item in open_sources((server.address(name),))]


@pytest.mark.parametrize("how", ["cut", 503, 429])
@pytest.mark.parametrize("name", ["a.tar", "a.parquet"])
def test_an_archive_outlasts_answers_that_break(
    server: Server, files: dict[str, bytes], tmp_path: Path, name: str, how: int | str
) -> None:
    server.how, server.breaks = how, lambda number: number % 2 == 1
    (tmp_path / name).write_bytes(files[name])
    assert pictures_of(server, name) == [item.image for item in open_sources((str(tmp_path / name),))]
    assert server.given > 4, "too few answers for one to break in the midst"


@pytest.mark.parametrize(
    ("how", "words"), [("cut", r"\(.*\); check the connection, and run"), (404, r"\(404, .*\); check the connection")]
)
def test_what_stays_away_is_told(server: Server, monkeypatch: pytest.MonkeyPatch, how: int | str, words: str) -> None:
    """Of what may be there again later a kind of its own: nothing is wrong with the archive."""
    monkeypatch.setattr(remote_file, "ATTEMPTS", 4)
    kind = SourceUnavailable if how == "cut" else DataError
    server.how, server.breaks = how, lambda number: number >= 1
    with pytest.raises(DataError, match=rf"a.tar cannot be read beyond picture \d+ {words}") as told:
        pictures_of(server, "a.tar")
    assert told.type is kind
    server.breaks = lambda _: False
    source = open_sources((server.address("a.parquet"),))
    server.breaks = lambda _: True
    with pytest.raises(DataError, match=rf"a.parquet cannot be read beyond row \d+ {words}") as told:
        list(source)
    assert told.type is kind


def test_a_service_that_is_away_for_a_while_is_waited_for_in_the_midst(server: Server) -> None:
    server.how, server.breaks = 503, lambda number: 1 <= number < 7
    assert len(pictures_of(server, "a.tar")) == PICTURES


@pytest.mark.parametrize("name", ["a.tar", "a.parquet"])
def test_a_server_that_is_not_there_is_no_missing_file(server: Server, name: str) -> None:
    server.files = {}
    with pytest.raises(DataError, match="cannot be read .*check the address") as missing:
        pictures_of(server, name)
    assert missing.type is DataError
    with pytest.raises(SourceUnavailable, match=rf"127.0.0.1:1/{name} cannot be read .*[Cc]onnect"):
        list(open_sources((f"http://127.0.0.1:1/{name}",)))


def test_a_server_that_gives_a_file_as_a_whole_only(server: Server) -> None:
    """It is read as one stream, and again from the beginning where that breaks; it may take as long as it takes."""
    server.in_pieces = False
    server.breaks = lambda number: number == 1
    for name in ("a.tar", "a.parquet"):
        server.given = 0
        assert len(pictures_of(server, name)) == PICTURES
        assert server.given > 2
