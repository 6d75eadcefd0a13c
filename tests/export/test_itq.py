"""Codes fitted without labels."""

import numpy as np
import pytest

from hashgrain.codes.errors import InvalidInput
from hashgrain.export.itq import fit_itq


def clusters(count=2000, width=32, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 8, count)
    return (3 * rng.normal(size=(8, width))[labels] + rng.normal(size=(count, width)) + 5).astype(np.float32), labels


def test_bits_are_balanced_and_logits_have_one_scale():
    features, _ = clusters()
    logits = fit_itq(features, 16).logits(features)
    assert np.abs((logits > 0).mean(0) - 0.5).max() < 0.01
    assert logits.std(0) == pytest.approx(np.ones(16), rel=1e-3)


def test_rotation_lowers_the_quantisation_error_of_the_principal_axes():
    features, _ = clusters()
    code = fit_itq(features, 8)
    unturned = fit_itq(features, 8, rounds=0)

    def error(found):
        projected = (features - features.mean(0)) @ found.weights.T
        return np.square(np.where(projected > 0, 1, -1) - projected).mean()

    assert error(code) < error(unturned)
    assert code.weights @ code.weights.T == pytest.approx(np.eye(8), abs=1e-4)  # still a rotation of axes


def test_codes_bring_like_to_like():
    features, labels = clusters()
    bits = fit_itq(features, 16).logits(features) > 0
    distances = (bits[:400, None] != bits[:400]).sum(2)
    same = labels[:400, None] == labels[:400]
    assert distances[same].mean() + 3 < distances[~same].mean()


def test_fit_follows_from_the_seed():
    features, _ = clusters()
    assert np.array_equal(fit_itq(features, 16, seed=1).weights, fit_itq(features, 16, seed=1).weights)
    assert not np.array_equal(fit_itq(features, 16, seed=1).weights, fit_itq(features, 16, seed=2).weights)


@pytest.mark.parametrize("shape", [(10, 32), (100, 8)])
def test_too_little_for_so_many_bits_is_refused(shape):
    with pytest.raises(InvalidInput, match=f"16 bits need .* got {shape[0]} pictures of {shape[1]} dimensions"):
        fit_itq(np.zeros(shape, np.float32), 16)
