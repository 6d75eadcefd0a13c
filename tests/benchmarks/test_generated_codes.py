"""The seeded generator: a function of its seed, whole or in parts, and as crowded as what it was fitted to."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.class_codes import FILE, ClassCodes
from benchmarks.code_statistics import CodeStatistics
from benchmarks.codes import BLOCK, GeneratedCodes
from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.errors import InvalidInput

LAYOUT = CodeLayout(16, 64)


def same(left: HashCodes, right: HashCodes) -> bool:
    return np.array_equal(left.coarse, right.coarse) and np.array_equal(left.fine, right.fine)


def test_items_and_queries_follow_from_the_seed() -> None:
    made, again, other = (GeneratedCodes(LAYOUT, 3000, seed=seed) for seed in (1, 1, 2))
    assert same(made.codes(), again.codes())
    assert same(made.queries(50), again.queries(50))
    assert not same(made.codes(), other.codes())
    assert not same(made.queries(50), other.queries(50))
    assert not same(made.queries(50), made.codes(0, 50))


def test_any_part_equals_that_part_of_the_whole() -> None:
    made = GeneratedCodes(LAYOUT, BLOCK + 1000, seed=5)
    whole = made.codes()
    assert len(whole) == BLOCK + 1000
    assert same(HashCodes.concatenate(list(made.chunks(30_001))), whole)
    assert same(made.codes(BLOCK - 7, BLOCK + 9), whole[BLOCK - 7 : BLOCK + 9])


def test_more_items_of_a_seed_begin_with_the_fewer() -> None:
    assert same(GeneratedCodes(LAYOUT, 5000, seed=3).codes(0, 1000), GeneratedCodes(LAYOUT, 1000, seed=3).codes())


def test_longer_codes_perturb_the_same_bits_again() -> None:
    made = GeneratedCodes(CodeLayout(16, 256), 5000, seed=1)
    bits = np.unpackbits(made.codes().fine, axis=1).reshape(-1, 4, 64).astype(np.int64)
    assert made.queries(3).fine.shape == (3, 32)
    for turn in range(1, 4):
        differing = np.mean(bits[:, 0] != bits[:, turn])
        assert 0.02 < differing < 0.3  # neither a copy nor another item's code (which differs in half)


def test_queries_have_the_logits_that_their_bits_are_signs_of() -> None:
    queries = GeneratedCodes(LAYOUT, 10, seed=1).queries(40)
    assert queries.coarse_logits is not None
    assert queries.fine_logits is not None
    assert same(HashCodes.from_logits(queries.coarse_logits, queries.fine_logits), queries)


def test_class_sizes_follow_the_power_law() -> None:
    shares = np.sort(GeneratedCodes(LAYOUT, 1, exponent=0.5).shares())[::-1]
    assert shares.sum() == pytest.approx(1)
    assert shares[0] / shares[99] == pytest.approx(10)
    assert np.ptp(GeneratedCodes(LAYOUT, 1, exponent=0).shares()) == pytest.approx(0)


def test_generated_codes_crowd_as_the_real_ones_they_were_fitted_to() -> None:
    """Real: CIFAR-100's 50,000 training pictures by the first default model, 500 of its test pictures as queries."""
    made = GeneratedCodes(LAYOUT, 50_000, seed=1, exponent=0)
    found = CodeStatistics.of(made.codes(), made.queries(500))
    assert found.codes == pytest.approx(5067, rel=0.15)
    assert found.entropy == pytest.approx(8.68, abs=0.3)
    assert found.largest == pytest.approx(0.0349, rel=0.15)
    assert found.singles == pytest.approx(2996, rel=0.2)
    assert found.balance == pytest.approx(0.034, abs=0.01)
    assert found.repeated == pytest.approx(0.233, abs=0.06)
    assert abs(found.nearest - 3) <= 1
    assert abs(found.tenth - 5) <= 1


def test_fit_finds_the_moments_that_it_draws_with() -> None:
    drawn = ClassCodes.load("items")
    rng = np.random.default_rng(0)
    logits = np.concatenate([drawn.draw(label, 4000, slice(16, 80), 1, rng) for label in (0, 1)])
    again = ClassCodes.fit(logits, np.repeat([0, 1], 4000))
    assert np.abs(again.mean - drawn.mean[:2]).max() < 0.15
    assert np.median(again.spread / drawn.spread[:2]) == pytest.approx(1, abs=0.1)


def test_committed_fit_is_small() -> None:
    assert FILE.stat().st_size < 200_000


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"layout": CodeLayout(12, 64), "items": 5}, "16 coarse bits and a multiple of 64 fine bits, got 12-bit"),
        ({"layout": CodeLayout(16, 96), "items": 5}, "got 16-bit coarse and 96-bit fine"),
        ({"layout": LAYOUT, "items": 0}, "items must be 1 or more, got 0"),
        ({"layout": LAYOUT, "items": 5, "classes": 0}, "classes must be 1 to 100, got 0"),
        ({"layout": LAYOUT, "items": 5, "classes": 101}, "classes must be 1 to 100, got 101"),
        ({"layout": LAYOUT, "items": 5, "exponent": -1.0}, "exponent must be 0 or more, got -1.0"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        GeneratedCodes(**settings)


@pytest.mark.parametrize(("start", "stop"), [(0, 11), (-1, 5), (5, 5)])
def test_items_that_there_are_not_are_refused(start: int, stop: int) -> None:
    with pytest.raises(InvalidInput, match=f"there are 10 items, asked for {start} to {stop}"):
        GeneratedCodes(LAYOUT, 10).codes(start, stop)


def test_a_class_too_small_to_fit_is_refused() -> None:
    with pytest.raises(InvalidInput, match="class 1 has 3 items, but 8 factors"):
        ClassCodes.fit(np.ones((23, 4), np.float32), np.repeat([0, 1], [20, 3]))
