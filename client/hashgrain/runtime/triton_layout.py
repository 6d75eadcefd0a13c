"""The folders that the embedded Triton starts from, written anew into the state folder at every start.

    triton/
    ├── backends/python/        Triton's Python backend with the stub of this Python version beside it
    ├── backends/onnxruntime/   `backends/onnxruntime_model.py`: runs every model of backend "onnxruntime"
    ├── models                  a link to the model repository
    ├── lib/                    libpython, for the stub
    └── python/                 a virtual environment of links: where models import from

Triton starts its stubs through a shell without quoting paths, so a blank in one would be the end of it. It therefore
runs in this folder and is given the two relative paths, `backends` and `models`.

The stub embeds Python in isolation and does not read PYTHONPATH. It takes the first `python3` on PATH for its own
program, and follows the pyvenv.cfg beside it; so a virtual environment is what decides what models can import. Its
.pth file names the packages of `triton_env`, and a folder with hashgrain's `codes` and `indexer` alone: the parts
that run under NumPy 1 as well.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hashgrain.codes.errors import EmbeddedServerError, MissingDependency
from hashgrain.runtime.triton_env import TritonEnvironment

BACKENDS = "backends"
MODELS = "models"
VENV_S = 60
SHARED_PARTS = ("hashgrain.codes", "hashgrain.indexer")


@dataclass(frozen=True)
class TritonLayout:
    """The folders, below `root`."""

    root: Path

    @property
    def libraries(self) -> Path:
        """For LD_LIBRARY_PATH."""
        return self.root / "lib"

    @property
    def programs(self) -> Path:
        """For the front of PATH."""
        return self.root / "python" / "bin"


def write_layout(root: Path, environment: TritonEnvironment, repository: Path) -> TritonLayout:
    """Write the folders; the server must not be running.

    Args:
        root: the folder to write, anew.
        environment: the server's packages.
        repository: the folder of models.

    Raises:
        EmbeddedServerError: the folder cannot be written.
        MissingDependency: a part of hashgrain is not installed.
    """
    layout = TritonLayout(root)
    try:
        shutil.rmtree(root, ignore_errors=True)
        _write_backends(root / BACKENDS, environment)
        (root / MODELS).symlink_to(repository)
        layout.libraries.mkdir()
        (layout.libraries / environment.python.library.name).symlink_to(environment.python.library)
        _write_imports(root, environment)
    except (OSError, subprocess.SubprocessError) as exc:
        raise EmbeddedServerError(f"{root} cannot be written ({exc}); name another state folder by --home") from exc
    return layout


def _write_backends(folder: Path, environment: TritonEnvironment) -> None:
    shutil.copytree(environment.python_backend, folder / "python")
    stub = folder / "python" / environment.stub.name
    shutil.copy2(environment.stub, stub)
    stub.chmod(0o755)
    (folder / "onnxruntime").mkdir()
    shutil.copyfile(Path(__file__).parent / "backends" / "onnxruntime_model.py", folder / "onnxruntime" / "model.py")


def _write_imports(root: Path, environment: TritonEnvironment) -> None:
    python = environment.python
    venv = [str(python.program), "-I", "-m", "venv", "--without-pip", "--symlinks", str(root / "python")]
    subprocess.run(venv, capture_output=True, timeout=VENV_S, check=True)
    parts = root / "parts"
    (parts / "hashgrain").mkdir(parents=True)
    for module in SHARED_PARTS:
        (parts / "hashgrain" / module.rpartition(".")[2]).symlink_to(_package_folder(module))
    site_packages = root / "python" / "lib" / f"python{python.version}" / "site-packages"
    (site_packages / "hashgrain.pth").write_text(f"{environment.site_packages}\n{parts}\n")


def _package_folder(module: str) -> Path:
    found = importlib.util.find_spec(module)
    if found is None or not found.submodule_search_locations:
        raise MissingDependency(f'{module} is not installed; install it with: pip install "hashgrain[indexer]"')
    return Path(next(iter(found.submodule_search_locations))).absolute()
