"""The end of a server's log, for messages."""

from __future__ import annotations

import re
from pathlib import Path

# Triton's log holds tables of its options, information on the orderly way out, and words about a GPU it must not use.
_NOISE = re.compile(
    r"\s*$|[+|]|I\d{4} .* (server|tritonserver|metrics|model_lifecycle|\w+_memory_manager)\.cc:|.*CudaDriverHelper"
)


def log_end(path: Path, lines: int = 12, width: int = 500) -> str:
    """The last telling lines of a log, indented; long lines are cut.

    Args:
        path: the log file, which may be missing.
        lines: how many at most.
        width: characters of a line at most.
    """
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 64_000))
            text = file.read().decode(errors="replace")
    except OSError:
        return f"  (no log at {path})"
    telling = [line for line in text.splitlines() if not _NOISE.match(line)]
    if not telling:
        return f"  (the log {path} is empty)"
    return "\n".join(f"  {line[:width]}" for line in telling[-lines:])
