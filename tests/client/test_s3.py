"""Collections at s3:// addresses, on a real server that speaks S3; `make test-s3` installs what it needs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hashgrain.cli.main import main
from hashgrain.client import HashEncoder
from hashgrain.client.sinks.codes_file import read_codes
from pictures import arrays, file_bytes, write_tree
from tar_files import write_tar

REASON = "needs s3fs and an S3 server: `make test-s3`"
s3fs = pytest.importorskip("s3fs", reason=REASON)
moto_server = pytest.importorskip("moto.server", reason=REASON)

PICTURES = arrays(6)


@pytest.fixture(scope="module")
def bucket() -> Iterator[Any]:
    """A file system over a server of its own, with an empty bucket `photos`; commands find it as they find Amazon's."""
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        host, port = server.get_host_and_port()
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "tests")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        system = s3fs.S3FileSystem()
        system.mkdir("photos")
        yield system
        system.clear_instance_cache()
    server.stop()


def encode(model: Path, capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, Any], str]:
    """The exit code of `hashgrain encode --json`, its receipt, and what it said beside."""
    code = 0
    try:
        main(["encode", *map(str, arguments), "--triton", str(model), "--json"])
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    said = capsys.readouterr()
    return code, json.loads(said.out or "{}"), said.err


def test_a_folder_is_encoded_once_and_what_changes_again(
    bucket: Any, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second run lists the bucket and reads nothing: S3's digests tell that nothing has changed."""
    names = write_tree(tmp_path / "set", PICTURES)
    bucket.put(str(tmp_path / "set"), "photos/set", recursive=True)
    bucket.pipe("photos/set/broken.png", b"no picture")
    job = ("s3://photos/set", "--out", tmp_path / "codes.parquet", "--ledger", tmp_path / "ledger")
    code, receipt, _ = encode(model, capsys, *job)
    assert (code, receipt["encoded"], [row["id"] for row in receipt["rejected"]]) == (0, 6, ["broken.png"])
    stored = read_codes(tmp_path / "codes.parquet")
    assert sorted(stored.ids) == names
    assert stored.payloads[0]["path"].startswith("s3://photos/set/")
    with HashEncoder(model) as encoder:
        expected = encoder.encode([tmp_path / "set" / str(name) for name in stored.ids])
    assert np.array_equal(stored.codes.fine, expected.fine)

    code, receipt, _ = encode(model, capsys, *job)
    assert (code, receipt["encoded"], receipt["reused"], receipt["bytes_read"]) == (0, 0, 6, 0)
    bucket.pipe(f"photos/set/{names[0]}", file_bytes(255 - PICTURES[0]))
    bucket.invalidate_cache()
    code, receipt, _ = encode(model, capsys, *job)
    assert (code, receipt["encoded"], receipt["reused"]) == (0, 1, 5)


def test_shards_lists_and_tables(bucket: Any, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [file_bytes(picture) for picture in PICTURES]
    for shard in range(2):
        members = {f"{n}.png": files[3 * shard + n] for n in range(3)}
        bucket.put(str(write_tar(tmp_path / f"{shard}.tar", members)), f"photos/shards/{shard}.tar")
    bucket.pipe("photos/list.txt", b"s3://photos/one/0.png\ns3://photos/one/missing.png\n")
    bucket.pipe("photos/one/0.png", files[0])
    pq.write_table(pa.table({"image": files[:2], "sku": [7, 8]}), tmp_path / "t.parquet")
    bucket.put(str(tmp_path / "t.parquet"), "photos/t.parquet")
    for sources, ids in (
        (["s3://photos/shards/*.tar"], [f"s3://photos/shards/{shard}/{n}.png" for shard in range(2) for n in range(3)]),
        (["s3://photos/list.txt"], ["s3://photos/one/0.png"]),
        (["s3://photos/t.parquet", "--id-column", "sku"], [7, 8]),
    ):
        code, receipt, said = encode(model, capsys, *sources, "--out", tmp_path / "codes.parquet")
        assert code == 0, said
        assert receipt["encoded"] == len(ids)
        assert read_codes(tmp_path / "codes.parquet").ids == ids


def test_what_is_not_there_is_told(
    bucket: Any, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ("--out", tmp_path / "codes.parquet")
    for address in ("s3://photos/none.tar", "s3://nobodys/set", "s3://photos/none/*.tar", "s3://photos/none"):
        code, _, said = encode(model, capsys, address, *out)
        assert (code, "Traceback" in said) == (1, False)
        assert address in said
    assert not (tmp_path / "codes.parquet").exists()
