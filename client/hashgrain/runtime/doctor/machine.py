"""Checks of the machine: Python, what the embedded servers need, shared memory, GPU."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from hashgrain.codes.errors import MissingDependency
from hashgrain.runtime.doctor.check import Check
from hashgrain.runtime.redis_server import find_program
from hashgrain.runtime.stub_python import find_stub_python, why_no_python
from hashgrain.runtime.support import why_no_triton
from hashgrain.runtime.triton_env import environment

OLDEST_PYTHON = (3, 11)
SHARED_MEMORY = Path("/dev/shm")
ENOUGH_SHARED_MEMORY = 128 << 20
NVIDIA_SMI_S = 20


def python() -> Check:
    """The interpreter's version."""
    found = f"Python {platform.python_version()} at {sys.executable}"
    if sys.version_info[:2] < OLDEST_PYTHON:
        least = ".".join(map(str, OLDEST_PYTHON))
        return Check("Python", "fail", f"{found}, {least} or later is needed", f"install Python {least}")
    return Check("Python", "ok", found)


def triton_here() -> Check:
    """Whether the embedded Triton can run on this machine at all."""
    if reason := why_no_triton():
        mend = "images are encoded in process; for a server pass --triton with the address of one elsewhere"
        return Check("embedded Triton", "warn", f"cannot run here: {reason}", mend)
    return Check("embedded Triton", "ok", f"can run here ({platform.system()} on {platform.machine()})")


def libpython() -> Check:
    """The shared library that Triton's Python stub is linked to."""
    python = find_stub_python()
    if python is None:
        return Check("libpython", "warn", "no Python for the embedded Triton", why_no_python())
    return Check("libpython", "ok", f"{python.library}, of Python {python.version} at {python.program}")


def triton_environment() -> Check:
    """The virtual environment of the embedded Triton."""
    python = find_stub_python()
    if python is None:
        return Check("Triton's environment", "skipped", "there is no Python for it")
    wanted = environment(python)
    if wanted.complete:
        return Check("Triton's environment", "ok", str(wanted.root))
    return Check(
        "Triton's environment", "skipped", f"not yet at {wanted.root}", "`hashgrain up` installs it on first use"
    )


def redis_program() -> Check:
    """The program of the embedded Redis."""
    try:
        program = find_program()
    except MissingDependency as exc:
        return Check("embedded Redis", "warn", "no server program", str(exc))
    return Check("embedded Redis", "ok", f"{program.path}, from {program.origin}")


def shared_memory() -> Check:
    """Room for the tensors that Triton and its Python models exchange."""
    if not SHARED_MEMORY.is_dir():
        return Check("shared memory", "skipped", f"no {SHARED_MEMORY} on this system")
    free = shutil.disk_usage(SHARED_MEMORY).free
    found = f"{free >> 20} MB free in {SHARED_MEMORY}"
    if free < ENOUGH_SHARED_MEMORY:
        least = ENOUGH_SHARED_MEMORY >> 20
        return Check("shared memory", "warn", f"{found}, {least} MB are advisable", "in a container: --shm-size=1g")
    return Check("shared memory", "ok", found)


def gpu() -> Check:
    """The GPU, and whether ONNX Runtime would use it in process."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return Check("GPU", "skipped", "no nvidia-smi: everything runs on the CPU")
    query = [program, "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=NVIDIA_SMI_S, check=True)
    except (OSError, subprocess.SubprocessError) as exc:
        return Check("GPU", "warn", f"nvidia-smi fails: {exc}", "mend the driver, or leave it on a node without a GPU")
    found = "; ".join(answer.stdout.strip().splitlines())
    if importlib.util.find_spec("onnxruntime") is None:
        return Check("GPU", "ok", f"{found}; onnxruntime is not installed")
    import onnxruntime

    providers = onnxruntime.get_available_providers()
    if "CUDAExecutionProvider" not in providers:
        mend = 'pip uninstall onnxruntime, then pip install "hashgrain[gpu]"; or serve with NVIDIA\'s Triton image'
        return Check("GPU", "warn", f"{found}; ONNX Runtime here has only {', '.join(providers)}", mend)
    return Check("GPU", "ok", f"{found}; ONNX Runtime has {', '.join(providers)}")
