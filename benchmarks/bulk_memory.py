"""Peak memory of `hashgrain encode` over more and more small pictures: `python -m benchmarks.bulk_memory`.

The pictures are JPEG files in Parquet files, all links to one of 10,000 rows; a network of 16 x 16 pixels, not trained,
encodes them in Triton, into an index. So what grows with their number would grow in the command alone, and is seen.
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.server import own_servers
from benchmarks.targets import Target
from hashgrain.client.bulk.job import BATCHES_AHEAD
from hashgrain.client.bulk.plan import ITEMS_PER_PICTURE
from hashgrain.client.bulk.reading import ITEMS_AHEAD
from hashgrain.codes import CodeLayout
from hashgrain.export.graph import export_onnx
from hashgrain.export.network import build_network
from hashgrain.export.serving_profiles import profile
from hashgrain.export.settings import TrainSettings
from hashgrain.export.triton_config import encoder_config

SHARD = 10_000
SIZE = 16
SIDE = 32
BATCH = 128
IN_FLIGHT = 4
ITEM_BYTES = 1_500
"""Of an item whose picture is gone, at most: id, payload, a dozen Python objects."""


@dataclass(frozen=True)
class Peak:
    """One run of the command.

    Attributes:
        images: that it encoded.
        seconds: that it took, start and end included.
        bytes: the most memory that it held at a time.
    """

    images: int
    seconds: float
    bytes: int


def main() -> None:
    """Encode 10,000 pictures, ten times as many, and so on up to the number wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1_000_000, help="10,000 or more")
    wanted = max(parser.parse_args().images, SHARD)
    sizes = sorted({min(wanted, SHARD * 10**power) for power in range(6)})
    with tempfile.TemporaryDirectory(prefix="hashgrain-benchmark-") as folder:
        largest = _write_shard(Path(folder) / "shard")
        with own_servers(_write_model(Path(folder) / "models")) as servers:
            peaks = []
            for images in sizes:
                source = _source(Path(folder), images)
                peaks.append(_encode(source, servers.triton_address, servers.redis_address, images))
                print(
                    f"{images:12,} images{peaks[-1].seconds:9.1f} s{images / peaks[-1].seconds:9,.0f}/s"
                    f"{peaks[-1].bytes / 1e6:9.1f} MB at most",
                    flush=True,
                )
    print(
        f"batches of {BATCH}, {IN_FLIGHT} in flight; files of {largest:,} bytes at most, {SIDE} x {SIDE} pixels, "
        f"encoded at {SIZE} x {SIZE}"
    )
    grown = (peaks[-1].bytes - peaks[0].bytes) / 1e6
    print(Target(f"from {sizes[0]:,} to {sizes[-1]:,} images", grown, bound(largest) / 1e6, unit=" MB").line())


def bound(largest_file: int) -> int:
    """Bytes that the pictures of a run may take at a time, as `hashgrain.client.bulk.job` states it."""
    picture = max(largest_file, SIZE * SIZE * 3)
    batches = IN_FLIGHT + 4 + 2 * BATCHES_AHEAD
    return ITEMS_AHEAD * largest_file + batches * BATCH * (picture + ITEMS_PER_PICTURE * ITEM_BYTES)


def _write_shard(folder: Path) -> int:
    """One Parquet file of small JPEG pictures; returns the bytes of the largest."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    files = []
    for pixels in rng.integers(0, 256, (SHARD, 4, 4, 3), np.uint8):
        file = io.BytesIO()
        Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(file, "JPEG", quality=80)
        files.append(file.getvalue())
    pq.write_table(pa.table({"image": files}), folder / "of.parquet")
    return max(map(len, files))


def _write_model(repository: Path) -> Path:
    settings = TrainSettings(data="none", backbone="small_cnn", coarse_bits=16, fine_bits=64, input_size=SIZE)
    model, contract = export_onnx(build_network(settings).eval(), CodeLayout(16, 64), SIZE, (), ())
    version = repository / "hash_encoder" / "1"
    version.mkdir(parents=True)
    onnx.save(model, version / "model.onnx")
    (version.parent / "config.pbtxt").write_text(encoder_config(contract, profile("cpu", BATCH)))
    return repository


def _source(folder: Path, images: int) -> str:
    """A pattern of links to the shard, as many as it takes, the last one perhaps cut short."""
    shards = folder / str(images)
    shards.mkdir()
    for number in range(images // SHARD):
        (shards / f"{number:05}.parquet").symlink_to(folder / "shard" / "of.parquet")
    if rest := images % SHARD:
        pq.write_table(pq.read_table(folder / "shard" / "of.parquet")[:rest], shards / "rest.parquet")
    return str(shards / "*.parquet")


_COMMAND = """
import re
from pathlib import Path
from hashgrain.cli.main import main
try:
    main()
finally:
    print(re.search("VmHWM: *([0-9]+) kB", Path("/proc/self/status").read_text().expandtabs())[0])
"""
"""It tells its own peak at the end: what wait4 says of a child begins with what its parent held when it was forked."""


def _encode(source: str, triton: str, redis: str, images: int) -> Peak:
    command = [sys.executable, "-c", _COMMAND, "encode", source, "--index", f"of-{images}"]
    options = ["--triton", triton, "--redis", redis, "--batch", str(BATCH), "--in-flight", str(IN_FLIGHT)]
    begun = time.perf_counter()
    done = subprocess.run([*command, *options], capture_output=True, text=True)
    peak = re.search(r"VmHWM: *(\d+) kB", done.stdout)
    if done.returncode or f"encoded {images:,} images" not in done.stdout or peak is None:
        raise RuntimeError(f"encoding ended with {done.returncode}: {done.stdout}{done.stderr}")
    return Peak(images, time.perf_counter() - begun, int(peak[1]) * 1024)


if __name__ == "__main__":
    main()
