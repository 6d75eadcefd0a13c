"""The wheel holds the whole tree, and each extra alone installs and loads the part that it is for."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("client", "indexer", "export")

IMPORT_ALL = """
import importlib, pathlib, sys
import hashgrain
for base in hashgrain.__path__:
    for path in sorted(pathlib.Path(base, sys.argv[1]).rglob("*.py")):
        relative = path.relative_to(base).with_suffix("")
        name = ".".join(("hashgrain", *relative.parts)).removesuffix(".__init__")
        if name not in sys.argv[2:]:
            importlib.import_module(name)
            print(name)
"""

TRITON_ONLY = "hashgrain.runtime.backends.onnxruntime_model"

EXTRAS = {
    "base": ("codes", ["hashgrain.codes.images"]),
    "client": ("client", ["hashgrain.client.in_process"]),
    "indexer": ("indexer", []),
    "export": ("export", []),
    "cli": ("cli", []),
    "cpu": ("codes", ["hashgrain.codes.images"]),
}
"""For each extra, the part that must load with it alone, and modules of that part that need more."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def tracked(*folders: str) -> set[str]:
    found = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {name for name in found.stdout.splitlines() if (ROOT / name).is_file()}


def test_wheel_holds_every_file_of_the_tree(wheel: Path) -> None:
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if not name.startswith("hashgrain-")}
    packages = {name.partition("/")[2] for name in tracked(*SOURCES)}
    models = {f"hashgrain/{name}" for name in tracked("model_repository")}
    assert packages
    assert inside == packages | models


@pytest.mark.slow
@pytest.mark.parametrize("extra", EXTRAS)
def test_extra_alone_installs_and_loads_its_part(wheel: Path, extra: str, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    wanted = [str(wheel) if extra == "base" else f"{wheel}[{extra}]"]
    if extra == "export":  # the same build of torch as here, not the newest
        wanted.append(f"torch=={version('torch').partition('+')[0]}")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-compile", *wanted]
    subprocess.run(pip, check=True, capture_output=True, cwd=tmp_path)
    part, needs_more = EXTRAS[extra]
    command = [str(python), "-c", IMPORT_ALL, part, *needs_more, TRITON_ONLY]
    loaded = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert loaded.returncode == 0, loaded.stderr
    assert len(loaded.stdout.split()) >= 3
    if extra == "cli":
        told = subprocess.run([str(environment / "bin" / "hashgrain"), "--help"], capture_output=True, text=True)
        assert "Image retrieval by deep hashing" in told.stdout
        missing = subprocess.run(
            [str(environment / "bin" / "hashgrain"), "train", "runs/x", "--data", "y"], capture_output=True, text=True
        )
        assert missing.returncode == 1
        assert 'pip install "hashgrain[export]"' in missing.stderr


@pytest.mark.parametrize("extra", ["gpu", "dev"])
def test_extra_resolves(wheel: Path, extra: str) -> None:
    """Too large, or of no use, to install here: the resolver says whether such a set of packages exists."""
    command = [sys.executable, "-m", "pip", "install", "-q", "--dry-run", "--ignore-installed", f"{wheel}[{extra}]"]
    subprocess.run(command, check=True, capture_output=True)
