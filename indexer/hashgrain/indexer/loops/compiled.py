"""Loops that are compiled to machine code when they are first called; the one place that knows of Numba."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import FunctionCache
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile a function of NumPy arrays and numbers, to run without the interpreter's lock.

    The machine code is kept on disk, beside the module or where NUMBA_CACHE_DIR says; where neither can be written,
    every process compiles it anew.
    """
    made: Any = numba.njit(nogil=True)(function)
    with suppress(RuntimeError):  # Numba found no place for it
        made._cache = _SharedCache(function)
    return cast(F, made)


def compiled_part(function: F) -> F:
    """Compile a function that compiled ones call, as a part of theirs, within which it can be optimised.

    It is not kept by itself: machine code from disk can be called, but no more become a part of what is compiled later,
    and inner loops took two to ten times as long.
    """
    return cast(F, numba.njit(nogil=True)(function))


class _SharedCache(FunctionCache):
    """The machine code on disk, which one process at a time looks at or adds to.

    It holds as long as no module of this folder changes: Numba alone would look at the module of the function, not at
    those whose parts it is made of.

    Numba notes in an index under which number it will keep the code for some kinds of arguments, and then writes it.
    Of two processes that compile one function for different kinds at a time, each could take the same number, and the
    index of one would lead to the code of the other: for good, and to wrong answers.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        self._cache_file._source_stamp = (self._cache_file._source_stamp, _stamp_of_all())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """See Numba."""
        with self._alone():
            return super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]

    def save_overload(self, sig: Any, data: Any) -> None:
        """See Numba."""
        with self._alone():
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            file = (Path(self.cache_path) / "hashgrain.lock").open("w")
        except OSError:  # a folder that can only be read by now, so that nobody adds to it
            yield
            return
        with file:
            with suppress(OSError):  # some network file systems know no locks
                fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield
            finally:  # a process that was forked meanwhile has the file open, too: closing it here would not do
                with suppress(OSError):
                    fcntl.flock(file, fcntl.LOCK_UN)


@cache
def _stamp_of_all() -> tuple[float, int]:
    """When a module of this folder changed last, and the size of all."""
    files = [file.stat() for file in Path(__file__).parent.glob("*.py")]
    return max(file.st_mtime for file in files), sum(file.st_size for file in files)


def _bit_count(_: Any, word: Any) -> Any:
    def emit(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return word(word), emit


bit_count: Any = intrinsic(_bit_count)
"""Number of 1 bits of an unsigned integer, as one of the same type; a single instruction, in vectors as well.

For use in compiled functions only.
"""
