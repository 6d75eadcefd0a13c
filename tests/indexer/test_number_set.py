"""`NumberSet` holds what was put in, whatever its size."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hashgrain.indexer.check.number_set import NumberSet

NUMBERS = st.lists(st.integers(0, 5000), max_size=30)


@given(first=NUMBERS, second=NUMBERS, other=NUMBERS)
def test_it_behaves_as_a_set(first: list[int], second: list[int], other: list[int]) -> None:
    numbers, others, wanted = NumberSet(), NumberSet(), {*first, *second}
    numbers.add(first)
    numbers.add(second)
    others.add(other)
    assert numbers.numbers().tolist() == sorted(wanted)
    assert [number in numbers for number in other] == [number in wanted for number in other]
    assert numbers.within(others) == (wanted <= set(other))
    assert others.within(numbers) == (set(other) <= wanted)
    assert numbers.within(numbers)


def test_the_largest_item_number_fits() -> None:
    numbers = NumberSet()
    numbers.add([2**31 - 1, 0])
    assert 2**31 - 1 in numbers
    assert 2**31 - 2 not in numbers
    assert 2**31 not in numbers
