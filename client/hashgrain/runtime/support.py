"""Whether the embedded Triton can run on this machine, and the shared Python library that it needs for it."""

from __future__ import annotations

import platform
import sys
import sysconfig
from pathlib import Path

OLDEST_GLIBC = (2, 35)
NEWEST_PYTHON = (3, 13)


def why_no_triton() -> str | None:
    """Why the embedded Triton cannot run here, with what would help; None where it can."""
    system, machine = platform.system(), platform.machine()
    if (system, machine) != ("Linux", "x86_64"):
        return f"its program is built for Linux on x86_64, this is {system} on {machine}"
    library, version = platform.libc_ver()
    if library != "glibc" or _numbers(version) < OLDEST_GLIBC:
        found = f"{library} {version}".strip() or "another C library"
        return f"its program needs glibc {'.'.join(map(str, OLDEST_GLIBC))} or later, this system has {found}"
    if sys.version_info[:2] > NEWEST_PYTHON:
        return (
            f"it runs models under Python 3.8 to {'.'.join(map(str, NEWEST_PYTHON))}, this is Python "
            f"{platform.python_version()}; make the virtual environment with an older one"
        )
    if find_libpython() is None:
        return f"it needs {libpython_name()}, which was not found; {how_to_get_libpython()}"
    return None


def libpython_name() -> str:
    """File name of the shared library that the stub is linked to."""
    return f"libpython{_python()}.so.1.0"


def find_libpython() -> Path | None:
    """The shared library of this Python version: this interpreter's own, else the system's."""
    name = libpython_name()
    folders = [
        sysconfig.get_config_var("LIBDIR"),
        f"{sys.base_prefix}/lib",
        f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}",
        "/usr/lib64",
        "/usr/lib",
        "/usr/local/lib",
    ]
    for folder in folders:
        if folder and (path := Path(folder) / name).is_file():
            return path
    return None


def how_to_get_libpython() -> str:
    """What to install where the library is missing."""
    return (
        f"install it with `apt-get install libpython{_python()}` on Debian and Ubuntu; under pyenv and conda use a "
        "Python that was built with --enable-shared"
    )


def _python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
