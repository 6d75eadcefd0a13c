"""A reader, a writer and an admin, each a user of a real server: what they must do they can, and nothing more."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import InvalidInput, StoreUnavailable
from hashgrain.indexer import Index, check_index, create_generation, drop_index, list_generations, switch_generation
from hashgrain.indexer.managing.roles import ROLES, acl_rules
from random_codes import random_codes

LAYOUT = CodeLayout(16, 64)
CODES = random_codes(40, LAYOUT, flips=0.3)


@pytest.fixture
def as_role(redis_url: str) -> Iterator[dict[str, str]]:
    """The server's address for a user of each role with the index `x`; beside it there is an index `y`."""
    client = redis.Redis.from_url(redis_url)
    for role in ROLES:
        client.execute_command("ACL", "SETUSER", role, "reset", "on", ">secret", *acl_rules("x", role))
    for name in ("x", "y"):
        with Index.create(redis_url, name, LAYOUT, shards=2, bucket_items=8) as index:
            index.add(list(range(30)) + [f"i{n}" for n in range(10)], CODES, [{"n": n} for n in range(40)])
    yield {role: redis_url.replace("unix://", f"unix://{role}:secret@") for role in ROLES}
    client.execute_command("ACL", "DELUSER", *ROLES)


def read(url: str, name: str = "x") -> None:
    for settings in ({}, {"cache_bytes": 1 << 20}):
        with Index.open(url, name, **settings) as index:  # type: ignore[arg-type]
            hits = index.search(CODES[:3], 5, exact=True, payloads=True)
            assert [hit.payloads for hit in hits]
            assert len(index) == 40


def write(url: str, name: str = "x") -> None:
    with Index.open(url, name) as index:
        for batch in range(4):  # enough for splits, too
            index.add([f"new{batch}-{n}" for n in range(40)], CODES, [{"n": 1}] * 40)
            index.delete([f"new{batch}-{n}" for n in range(40)])


def get(url: str) -> None:
    with Index.open(url, "x") as index:
        index.get([1, "i2"])


def pay(url: str) -> None:
    with Index.open(url, "x") as index:
        index.set_payloads([1], [{"n": 2}])


def load(url: str, name: str = "x") -> None:
    with create_generation(url, name, LAYOUT) as index:
        index.load(list(range(40)), CODES)


def administer(url: str, name: str = "x") -> None:
    load(url, name)
    switch_generation(url, name)
    switch_generation(url, name, 0)
    assert [one.number for one in list_generations(url, name)] == [0, 1]
    with Index.open(url, name) as index:
        index.health(queries=5)
        index.stats()
    assert check_index(url, name, repair=True).findings == ()
    drop_index(url, f"{name}@1")


def test_each_role_does_what_it_must(as_role: dict[str, str]) -> None:
    for role in ROLES:
        read(as_role[role])
    for role in ("writer", "admin"):
        write(as_role[role])
    administer(as_role["admin"])
    drop_index(as_role["admin"], "x")


@pytest.mark.parametrize(
    ("role", "work"),
    [
        ("reader", lambda url: write(url)),
        ("reader", lambda url: load(url)),
        ("reader", lambda url: drop_index(url, "x")),
        ("reader", lambda url: Index.create(url, "x2", LAYOUT)),
        ("reader", lambda url: get(url)),
        ("reader", lambda url: pay(url)),
        ("reader", lambda url: Index.open(url, "x").ids()),
        ("reader", lambda url: Index.open(url, "x").stats()),
        ("reader", lambda url: check_index(url, "x", repair=True)),
        ("reader", lambda url: read(url, "y")),
        ("writer", lambda url: load(url)),
        ("writer", lambda url: check_index(url, "x", repair=True)),
        ("writer", lambda url: drop_index(url, "x")),
        ("writer", lambda url: read(url, "y")),
        ("writer", lambda url: write(url, "y")),
        ("admin", lambda url: read(url, "y")),
        ("admin", lambda url: drop_index(url, "y")),
        ("admin", lambda url: redis.Redis.from_url(url).flushall()),
        ("admin", lambda url: redis.Redis.from_url(url).config_set("maxmemory", 1)),
    ],
)
def test_no_role_does_what_it_must_not_and_nothing_has_changed(
    redis_url: str, as_role: dict[str, str], role: str, work: Callable[[str], object]
) -> None:
    client = redis.Redis.from_url(redis_url)
    before = {key: client.dump(key) for key in client.scan_iter()}
    with pytest.raises(
        (StoreUnavailable, redis.exceptions.NoPermissionError), match="(?i)does not allow this user|no perm"
    ):
        work(as_role[role])
    assert {key: client.dump(key) for key in client.scan_iter()} == before


def test_one_of_several_generations_is_switched_by_an_admin_alone(redis_url: str, as_role: dict[str, str]) -> None:
    create_generation(redis_url, "x", LAYOUT).close()
    client = redis.Redis.from_url(redis_url)
    before = {key: client.dump(key) for key in client.scan_iter()}
    for role in ("reader", "writer"):
        for work in (lambda url: switch_generation(url, "x"), lambda url: drop_index(url, "x@1")):
            with pytest.raises(StoreUnavailable, match="does not allow this user"):
                work(as_role[role])
        assert {key: client.dump(key) for key in client.scan_iter()} == before
        assert [one.live for one in list_generations(as_role[role], "x")] == [True, False]
    assert switch_generation(as_role["admin"], "x").live == 1


def test_a_reader_may_sample_its_searches(as_role: dict[str, str]) -> None:
    with Index.open(as_role["reader"], "x", shadow=1.0) as index:
        index.search(CODES[:3], 5)
        last = time.monotonic() + 60
        while not (stats := index.shadow_stats()) or stats.compared + stats.failed < 3:
            assert time.monotonic() < last
            time.sleep(0.005)
        assert (stats.recall, stats.error) == (1, None)


def test_who_has_no_password_is_told(redis_url: str, as_role: dict[str, str]) -> None:
    with pytest.raises(StoreUnavailable, match="refuses the user or the password"):
        Index.open(as_role["reader"].replace("secret", "wrong"), "x")


@pytest.mark.parametrize(("name", "role"), [("x", "owner"), ("x y", "reader"), ("x*", "reader")])
def test_what_is_no_role_or_no_name_is_refused(name: str, role: str) -> None:
    with pytest.raises(InvalidInput):
        acl_rules(name, role)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificates with openssl, which is not here")
def test_the_way_over_tls_is_verified(redis_url: str, tmp_path: Path) -> None:
    """A real server behind a real TLS endpoint, since the one that comes with hashgrain speaks no TLS itself."""
    certificate, key = tmp_path / "server.crt", tmp_path / "server.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    with tls_endpoint(redis_url.removeprefix("unix://"), certificate, key) as port:
        secure = f"rediss://localhost:{port}/0?ssl_ca_certs={certificate}"
        with Index.create(secure, "x", LAYOUT, cache_bytes=1 << 20) as index:
            index.add(list(range(40)), CODES)
            assert [hit.ids[0] for hit in index.search(CODES[:3], 1, exact=True)] == [0, 1, 2]
        with pytest.raises(StoreUnavailable, match="(?i)certificate"):
            Index.open(f"rediss://localhost:{port}/0", "x")


class tls_endpoint:  # noqa: N801 - used as a function
    """Ends TLS and passes everything on to a socket, for as long as the block lasts; gives the port."""

    def __init__(self, target: str, certificate: Path, key: Path) -> None:
        self._target = target
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)

    def __enter__(self) -> int:
        self._listener = socket.create_server(("localhost", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        return int(self._listener.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            with suppress(OSError):  # a client that does not trust the certificate
                near = self._context.wrap_socket(plain, server_side=True)
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._target)
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=_pass_on, args=(source, sink), daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
