"""Deadlines are finite, always."""

import math

import pytest

from hashgrain.client import Timeouts
from hashgrain.codes.errors import InvalidInput


def test_the_defaults_are_finite() -> None:
    assert Timeouts() == Timeouts(connect=5.0, request=30.0)


@pytest.mark.parametrize("seconds", [0, -1, math.inf, math.nan, None, "5", True])
@pytest.mark.parametrize("name", ["connect", "request"])
def test_anything_but_a_finite_number_above_zero_is_refused(name: str, seconds: object) -> None:
    with pytest.raises(InvalidInput, match=name):
        Timeouts(**{name: seconds})  # type: ignore[arg-type]
