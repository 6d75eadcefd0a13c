"""The Python that the embedded Triton runs its models under.

Triton links one stub per Python version to that version's shared library, and the stub needs NumPy 1, which has
wheels up to Python 3.12. Where this very interpreter does not serve, another one on the PATH may.
"""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

VERSIONS = ("3.12", "3.11")
"""From the oldest that hashgrain runs on to the newest with wheels of NumPy 1."""

QUESTION = """
import json, sys, sysconfig
print(json.dumps(["%d.%d" % sys.version_info[:2], sys.executable, sys.base_prefix,
    sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("MULTIARCH")]))
"""


@dataclass(frozen=True)
class StubPython:
    """An interpreter with its shared library.

    Attributes:
        version: "3.11".
        program: the interpreter.
        library: libpython3.11.so.1.0, which the stub is linked to.
    """

    version: str
    program: Path
    library: Path


def find_stub_python() -> StubPython | None:
    """This interpreter where it serves, else python3.12 or python3.11 on the PATH, else None."""
    own = _own_version()
    if own in VERSIONS:
        program = Path(getattr(sys, "_base_executable", sys.executable))
        multiarch = sysconfig.get_config_var("MULTIARCH")
        if library := find_library(own, sys.base_prefix, sysconfig.get_config_var("LIBDIR"), multiarch):
            return StubPython(own, program, library)
    others = (_ask(path) for version in VERSIONS if (path := shutil.which(f"python{version}")))
    return next((python for python in others if python), None)


def find_library(version: str, prefix: str, folder: str | None, multiarch: str | None) -> Path | None:
    """The shared library of a Python: its own, else the system's.

    Args:
        version: "3.11".
        prefix: where that Python is installed.
        folder: its LIBDIR, see `sysconfig`.
        multiarch: the system's name for the architecture, "x86_64-linux-gnu".
    """
    name = f"libpython{version}.so.1.0"
    places = [folder, f"{prefix}/lib", f"/usr/lib/{multiarch}", "/usr/lib64", "/usr/lib", "/usr/local/lib"]
    return next((path for place in places if place and (path := Path(place) / name).is_file()), None)


def why_no_python() -> str:
    """What is missing where `find_stub_python` finds none, and how to get it."""
    own = _own_version()
    wanted = own if own in VERSIONS else VERSIONS[0]
    return (
        f"it runs models under Python {' or '.join(reversed(VERSIONS))} with the shared library (such as "
        f"libpython{wanted}.so.1.0), and neither this Python {own} nor one on the PATH has it; on Debian and Ubuntu "
        f"`apt-get install python{wanted} libpython{wanted}`, under pyenv and conda use one built with --enable-shared"
    )


@functools.cache
def _ask(program: str) -> StubPython | None:
    """What another interpreter says of itself; None where it does not run, or has no shared library."""
    try:
        # -I: the caller's PYTHONPATH is not for another version.
        answer = subprocess.run([program, "-I", "-c", QUESTION], capture_output=True, timeout=20, check=True)
        version, executable, prefix, folder, multiarch = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    library = find_library(version, prefix, folder, multiarch)
    return StubPython(version, Path(executable), library) if library else None


def _own_version() -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]}"
