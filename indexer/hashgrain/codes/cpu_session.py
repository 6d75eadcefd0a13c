"""An ONNX model on all cores of a CPU, whatever the size of the batch.

A few rows are computed by all cores together, operator by operator. Of many rows each core takes a part and computes
it alone: cores that need not wait for each other after every operator lose little to whatever else is at work on the
machine, such as the decoding of the next pictures, and what 16 rows leave between two operators fits in a core's cache.

One definition for the embedded Triton and for encoding in process. It needs ONNX Runtime.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from hashgrain.codes.cores import usable_cores

EXACT_PRODUCTS = ("session.x64quantprecision", "1")
"""ONNX Runtime's setting, name and value, for sums of 8-bit products that are not clipped."""

_VNNI = ("avx512_vnni", "avx_vnni")
_CPU = Path("/proc/cpuinfo")

ROWS_OF_A_PART = 16
"""Most rows that a core computes at a time."""


class CpuSession:
    """A model whose tensors all have a row per item. Threads may share it.

    Where there are several cores the weights are in memory twice: ONNX Runtime ties a session to a number of threads.

    Args:
        path: the ONNX file.
        threads: how many compute; by default one for each core that may be used.
        log_severity: the least that ONNX Runtime logs, from 0 (everything) to 4 (fatal errors).

    Attributes:
        whole: the session that computes with all threads together; it also tells what the model is.

    Raises:
        Exception: ONNX Runtime's own, where it cannot load the file.
    """

    def __init__(self, path: str, threads: int | None = None, log_severity: int = 2) -> None:
        self._threads = threads or usable_cores()
        self.whole = _session(path, self._threads, log_severity)
        self._alone = _session(path, 1, log_severity) if self._threads > 1 else self.whole
        self._workers = ThreadPoolExecutor(self._threads, "hashgrain-cpu")

    def run(self, outputs: list[str], feed: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Run one batch.

        Args:
            outputs: names of the tensors wanted.
            feed: the inputs by name, each with as many rows.

        Returns:
            The outputs in that order, with as many rows.

        Raises:
            Exception: ONNX Runtime's own, where the model does not take the batch.
        """

        def compute(part: slice) -> list[NDArray[Any]]:
            answers: list[NDArray[Any]] = self._alone.run(outputs, {name: array[part] for name, array in feed.items()})
            return answers

        parts = parts_of(len(next(iter(feed.values()))), self._threads)
        if len(parts) > 1:
            return [np.concatenate(column) for column in zip(*self._workers.map(compute, parts), strict=True)]
        together: list[NDArray[Any]] = self.whole.run(outputs, feed)
        return together


def share_of_cores(sessions: int) -> int:
    """Threads for each of several sessions at a time, so that they do not compete for cores."""
    return max(1, usable_cores() // max(1, sessions))


def parts_of(rows: int, threads: int) -> list[slice]:
    """How a batch is divided: the same number of parts for each thread, or not at all where few rows are for one."""
    if threads == 1 or rows < 2 * threads:
        return [slice(0, rows)]
    parts = threads * -(-rows // (threads * ROWS_OF_A_PART))
    return [slice(rows * n // parts, rows * (n + 1) // parts) for n in range(parts)]


def session_options() -> Any:
    """ONNX Runtime's settings, with which an 8-bit model gives the same codes on every x86-64 CPU.

    A CPU without VNNI adds two products of 8-bit integers in 16 bits and clips the sum, unless ONNX Runtime is told to
    take its slower kernels. Where there is VNNI they would be slower and no more exact.

    Returns:
        A new onnxruntime.SessionOptions.
    """
    options = onnxruntime.SessionOptions()
    if not _has_vnni():
        options.add_session_config_entry(*EXACT_PRODUCTS)
    return options


def _has_vnni() -> bool:
    try:
        return any(flag in _CPU.read_text() for flag in _VNNI)
    except OSError:  # no Linux; the exact kernels are right everywhere
        return False


def _session(path: str, threads: int, log_severity: int) -> onnxruntime.InferenceSession:
    options = session_options()
    options.log_severity_level = log_severity
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
