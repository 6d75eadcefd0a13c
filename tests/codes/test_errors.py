"""The error tree: drawn in the docstring as it is in the code, and fit to cross process borders."""

from __future__ import annotations

import pickle
import re

import pytest

from hashgrain.codes import errors
from hashgrain.codes.errors import HashgrainError, ImageRejected, InvalidInput, MissingDependency

CLASSES = {
    name: item for name, item in vars(errors).items() if isinstance(item, type) and issubclass(item, HashgrainError)
}


def drawn_tree() -> dict[str, str | None]:
    """Class → parent, as the module's docstring draws them."""
    parents: dict[str, str | None] = {}
    path: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"^    ([│├└─ ]*)([A-Z]\w+)", line):
            depth = len(found.group(1))
            path = [(at, name) for at, name in path if at < depth]
            parents[found.group(2)] = path[-1][1] if path else None
            path.append((depth, found.group(2)))
    return parents


def test_the_docstring_draws_every_class_under_its_parent() -> None:
    assert drawn_tree() == {
        name: None if item is HashgrainError else item.__mro__[1].__name__ for name, item in CLASSES.items()
    }


def test_callers_who_know_only_builtin_errors_can_catch_them() -> None:
    assert issubclass(InvalidInput, ValueError)
    assert issubclass(MissingDependency, ImportError)


@pytest.mark.parametrize("item", CLASSES.values(), ids=CLASSES)
def test_an_error_survives_pickling(item: type[HashgrainError]) -> None:
    error = ImageRejected("a.jpg", "cut short") if item is ImageRejected else item("what and what next")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is item
    assert str(again) == str(error)
    assert vars(again) == vars(error)
