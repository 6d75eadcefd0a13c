"""The examples in other languages get from the real server what Python gets."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from embedded_servers import EmbeddedServers
from hashgrain.client import HashEncoder
from hashgrain.indexer import Index
from pictures import arrays, file_bytes
from tiny_model import SIZE

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NAME, COUNT = "examples", 40

SEARCHES = {
    "sh": ["sh", "search.sh"],
    "node": ["node", "search.mjs"],
    "java": ["java", "-XX:TieredStopAtLevel=1", "Search.java"],
}


@pytest.fixture(scope="module")
def index(triton: EmbeddedServers) -> Iterator[Index]:
    with (
        HashEncoder(triton.grpc) as encoder,
        Index.create(triton.redis, NAME, encoder.layout, fingerprint=encoder.fingerprint) as index,
    ):
        index.add([f"bild {number} é.jpg" for number in range(COUNT)], encoder.encode(arrays(COUNT)))
        yield index
        index.drop()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a picture.jpg"
    path.write_bytes(file_bytes(arrays(1, seed=3, height=60, width=90)[0], "JPEG"))
    return path


def run(triton: EmbeddedServers, *command: str) -> subprocess.CompletedProcess[str]:
    """Run an example in its folder, or skip where its language is missing."""
    needed = ["curl", "base64"] if command[0] == "sh" else [command[0]]
    if missing := [program for program in needed if shutil.which(program) is None]:
        pytest.skip(f"{missing[0]}, which the example needs, is not on this machine")
    environment = {**os.environ, "TRITON": triton.http, "LC_ALL": "C.UTF-8"}
    return subprocess.run(command, cwd=EXAMPLES, env=environment, capture_output=True, text=True, timeout=120)


def neighbours(language: str, output: str) -> list[tuple[int, str]]:
    if language != "sh":
        return [(int(distance), name) for distance, name in (line.split("\t") for line in output.splitlines())]
    tensors = {row["name"]: row["data"] for row in json.loads(output)["outputs"]}
    return [(distance, name) for distance, name in zip(tensors["distances"], tensors["ids"], strict=True) if name]


@pytest.mark.parametrize("language", SEARCHES)
def test_an_example_finds_what_python_finds(
    triton: EmbeddedServers, index: Index, picture: Path, language: str
) -> None:
    with HashEncoder(triton.grpc) as encoder:
        hit = index.search(encoder.encode([picture], logits=True), k=COUNT + 2)[0]
    done = run(triton, *SEARCHES[language], str(picture), NAME, str(COUNT + 2))
    assert (done.returncode, done.stderr) == (0, "")
    assert neighbours(language, done.stdout) == list(zip(hit.distances.tolist(), hit.ids, strict=True))


@pytest.mark.parametrize("language", ["sh", "node", pytest.param("java", marks=pytest.mark.long)])
def test_an_example_says_what_is_wrong(triton: EmbeddedServers, index: Index, picture: Path, language: str) -> None:
    picture.write_bytes(b"no picture")
    done = run(triton, *SEARCHES[language], str(picture), NAME)
    assert (done.returncode, done.stdout) == (1, "")
    assert "image 0: not an image in a format that Pillow reads" in done.stderr


def test_the_shell_encodes_as_python_does(triton: EmbeddedServers, tmp_path: Path) -> None:
    pixels: NDArray[np.uint8] = arrays(1, seed=4)
    (tmp_path / "a.rgb").write_bytes(pixels.tobytes())
    with HashEncoder(triton.grpc) as encoder:
        code = encoder.encode(pixels).fine[0].tobytes().hex()
    done = run(triton, "sh", "encode.sh", str(tmp_path / "a.rgb"), str(SIZE))
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{code}\n", "")


def test_the_readme_names_every_example() -> None:
    named = re.findall(r"^(?:sh|node|java) (\S+)", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
    assert sorted(named) == sorted(path.name for path in EXAMPLES.iterdir() if path.name != "README.md")
