"""The end of a log tells why a server died, and not its options."""

from __future__ import annotations

from pathlib import Path

from hashgrain.runtime.logs import log_end

TRITON = """\
I1124 03:24:17.1 7563 cuda_memory_manager.cc:117] "CUDA memory pool disabled"
E1124 03:24:17.2 7563 server.cc:241] "CudaDriverHelper has not been initialized."
E1124 03:24:17.5 7563 model_lifecycle.cc:642] "failed to load 'hash_encoder' version 1: Internal: it is broken"
I1124 03:24:17.5 7563 server.cc:674]
+--------------+---------+
| Model        | Version |
+--------------+---------+

I1124 03:24:17.6 7563 server.cc:305] "Waiting for in-flight requests to complete."
error: creating server: Internal - failed to load all models
"""


def test_triton_s_tables_and_farewell_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(TRITON)
    first, second = log_end(tmp_path / "log").splitlines()
    assert "it is broken" in first
    assert second == "  error: creating server: Internal - failed to load all models"


def test_only_the_end_of_a_long_log_is_read(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("\n".join(f"line {n}" for n in range(100_000)))
    assert log_end(tmp_path / "log", lines=2) == "  line 99998\n  line 99999"


def test_a_missing_or_empty_log_is_said(tmp_path: Path) -> None:
    assert log_end(tmp_path / "none") == f"  (no log at {tmp_path / 'none'})"
    (tmp_path / "log").write_bytes(b"\n")
    assert "is empty" in log_end(tmp_path / "log")
