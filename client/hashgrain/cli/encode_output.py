"""What `hashgrain encode` writes beside the codes: a list of rejected pictures, a page, a progress bar."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hashgrain.codes.errors import DataError

if TYPE_CHECKING:
    from hashgrain.client.sources.files import Source


def require_folder(path: Path) -> None:
    """See before the work that a file can be written after it.

    Raises:
        DataError: its folder is missing.
    """
    if not path.parent.is_dir():
        raise DataError(f"{path} cannot be written: there is no folder {path.parent}; create it first")


def write_rejected(path: Path, rejected: Iterable[tuple[str, str]]) -> None:
    """Ids and reasons as JSON, one object a line.

    Raises:
        DataError: the file cannot be written.
    """
    write_lines(path, (json.dumps({"id": name, "reason": reason}) + "\n" for name, reason in rejected))


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a file of text.

    Raises:
        DataError: it cannot be written.
    """
    try:
        with path.open("w", encoding="utf-8") as file:
            file.writelines(lines)
    except OSError as exc:
        raise DataError(f"{path} cannot be written ({exc.strerror}); give another place") from exc


@contextmanager
def progress_bar(source: Source | None) -> Iterator[Callable[[int], object]]:
    """A progress bar on standard error where that is a terminal; without a source nobody knows the total."""
    from tqdm import tqdm

    shown = sys.stderr.isatty()
    total = source.count() if shown and source is not None else None
    with tqdm(total=total, unit=" images", disable=not shown, leave=False) as bar:
        yield bar.update
