"""What an error of another package says, for the middle of a message."""

from __future__ import annotations


def first_line(error: BaseException) -> str:
    """The first line of its words, or its kind where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
