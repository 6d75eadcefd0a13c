"""The wheel holds the whole tree, and each extra alone installs and loads the part that it is for."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.metadata import distribution
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
    "base": ("codes", ["hashgrain.codes.images", "hashgrain.codes.cpu_session"]),
    "client": ("client", ["hashgrain.client.wire.in_process", "hashgrain.client.wire.async_http"]),
    "indexer": ("indexer", []),
    "export": ("export", []),
    "cli": ("cli", []),
    "cpu": ("codes", ["hashgrain.codes.images"]),
}
"""For each extra, the part that must load with it alone, and modules of that part that need more."""


def run(*command: str | Path, folder: Path = ROOT) -> str:
    """Run a command; its own words are the failure's message."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT)
    (built,) = folder.glob("*.whl")
    return built


def tracked(*folders: str) -> set[str]:
    found = run("git", "ls-files", "--cached", "--others", "--exclude-standard", *folders)
    return {name for name in found.splitlines() if (ROOT / name).is_file()}


def test_wheel_holds_every_file_of_the_tree(wheel: Path) -> None:
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if not name.startswith("hashgrain-")}
    packages = {name.partition("/")[2] for name in tracked(*SOURCES)}
    models = {f"hashgrain/{name}" for name in tracked("model_repository")}
    assert packages
    assert inside == packages | models


def lend_torch(environment: Path) -> None:
    """Let an environment have the torch that is installed here: pip need not unpack a gigabyte, nor take a newer one.

    What torch itself needs is not lent, and so is found wanting and installed.
    """
    (packages,) = environment.glob("lib/python*/site-packages")
    installed = distribution("torch")
    for name in {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}:
        (packages / name).symlink_to(Path(str(installed.locate_file(name))))


@pytest.mark.slow
@pytest.mark.parametrize("extra", EXTRAS)
def test_extra_alone_installs_and_loads_its_part(wheel: Path, extra: str, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", environment)
    python = environment / "bin" / "python"
    if extra == "export":
        lend_torch(environment)
    wanted = str(wheel) if extra == "base" else f"{wheel}[{extra}]"
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-compile", wanted, folder=tmp_path)
    part, needs_more = EXTRAS[extra]
    loaded = run(python, "-c", IMPORT_ALL, part, *needs_more, TRITON_ONLY, folder=tmp_path)
    assert len(loaded.split()) >= 3
    if extra == "cli":
        assert "Image retrieval by deep hashing" in run(environment / "bin" / "hashgrain", "--help")
        missing = subprocess.run(
            [str(environment / "bin" / "hashgrain"), "train", "runs/x", "--data", "y"], capture_output=True, text=True
        )
        assert missing.returncode == 1
        assert 'pip install "hashgrain[export]"' in missing.stderr


def test_what_is_too_large_or_of_no_use_to_install_here_resolves(wheel: Path) -> None:
    """The resolver says whether such a set of packages exists."""
    run(sys.executable, "-m", "pip", "install", "-q", "--dry-run", "--ignore-installed", f"{wheel}[gpu,dev]")
