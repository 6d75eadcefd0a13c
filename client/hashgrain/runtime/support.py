"""Whether the embedded Triton can run on this machine."""

from __future__ import annotations

import platform

from hashgrain.runtime.stub_python import find_stub_python, why_no_python

OLDEST_GLIBC = (2, 35)


def why_no_triton() -> str | None:
    """Why the embedded Triton cannot run here, with what would help; None where it can."""
    system, machine = platform.system(), platform.machine()
    if (system, machine) != ("Linux", "x86_64"):
        return f"its program is built for Linux on x86_64, this is {system} on {machine}"
    library, version = platform.libc_ver()
    if library != "glibc" or _numbers(version) < OLDEST_GLIBC:
        found = f"{library} {version}".strip() or "another C library"
        return f"its program needs glibc {'.'.join(map(str, OLDEST_GLIBC))} or later, this system has {found}"
    return None if find_stub_python() else why_no_python()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
