"""Loops that are compiled to machine code when they are first called; the one place that knows of Numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile a function of NumPy arrays and numbers, to run without the interpreter's lock.

    The machine code is kept on disk, beside the module or where NUMBA_CACHE_DIR says; where neither can be written,
    every process compiles it anew.
    """
    try:
        made: Any = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # Numba found no place for its cache
        made = numba.njit(nogil=True)(function)
    return cast(F, made)


def _bit_count(_: Any, word: Any) -> Any:
    def emit(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return word(word), emit


bit_count: Any = intrinsic(_bit_count)
"""Number of 1 bits of an unsigned integer, as one of the same type; a single instruction, in vectors as well.

For use in compiled functions only.
"""
