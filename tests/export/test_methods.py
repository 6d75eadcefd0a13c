"""Published methods held to their formulas, and to what all of them must do: bring classes apart."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from hashgrain.export.compare import train_head
from hashgrain.export.methods import METHODS, Problem, far_targets

PROBLEM = Problem(classes=4, bits=16, seed=0)


def batch(count=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 16, generator=generator, requires_grad=True), torch.arange(count) % 4


@pytest.mark.parametrize("name", sorted(METHODS.keys() - {"quantisation"}))
def test_every_method_brings_classes_apart(name):
    """Codes of one class end nearer to one another than to those of the others."""
    rng = np.random.default_rng(0)
    labels = np.arange(512) % 4
    features = (rng.normal(size=(4, 32))[labels] + 0.7 * rng.normal(size=(512, 32))).astype(np.float32)
    head = train_head(features, labels, name, PROBLEM, epochs=60)
    with torch.no_grad():
        bits = (head(torch.from_numpy(features)) > 0).numpy()
    distances = (bits[:, None] != bits).sum(2)
    same = labels[:, None] == labels
    assert distances[same].mean() + 2 < distances[~same].mean()


def test_hashnet_is_the_weighted_pairwise_likelihood():
    logits, labels = batch()
    codes = torch.tanh(5.5 * logits)
    total, weight = [], []
    similar = [(labels[i] == labels[j]).item() for i in range(12) for j in range(12)]
    share = np.mean(similar)
    for number, same in enumerate(similar):
        i, j = divmod(number, 12)
        product = 10 / 16 * torch.dot(codes[i], codes[j])
        weight.append(1 / share if same else 1 / (1 - share))
        total.append(torch.log1p(torch.exp(product)) - same * product)
    expected = np.mean([w * t.item() for w, t in zip(weight, total, strict=True)])
    assert METHODS["hashnet"](PROBLEM)(logits, labels, 0.5).item() == pytest.approx(expected, rel=1e-4)


def test_csq_is_the_bitwise_cross_entropy_of_tanh():
    logits, labels = batch()
    wanted = (far_targets(PROBLEM)[labels] + 1) / 2
    codes = torch.tanh(logits)
    expected = functional.binary_cross_entropy((codes + 1) / 2, wanted) + 1e-4 * (codes.abs() - 1).square().mean()
    assert METHODS["csq"](PROBLEM)(logits, labels, 0.0).item() == pytest.approx(expected.item(), rel=1e-5)


def test_dpn_is_zero_beyond_the_margin_and_grows_before_it():
    targets, labels = far_targets(PROBLEM), torch.arange(4)
    method = METHODS["dpn"](PROBLEM)
    assert method(1.5 * targets, labels, 0.0).item() == 0
    assert method(0.25 * targets, labels, 0.0).item() == pytest.approx(16 * 0.75)


def test_greedyhash_classifies_signs_and_passes_the_gradient_through():
    method = METHODS["greedyhash"](PROBLEM)
    logits, labels = batch()
    ones = torch.where(logits > 0, 1.0, -1.0).detach().requires_grad_(True)
    (through,) = torch.autograd.grad(functional.cross_entropy(method.classifier(ones), labels), ones)
    near = 0.1 * (logits.abs() - 1).abs().pow(3).mean()
    (whole,) = torch.autograd.grad(method(logits, labels, 0.0), logits)
    (penalty,) = torch.autograd.grad(near, logits)
    assert torch.allclose(whole, through + penalty, atol=1e-6)


def test_quantisation_ignores_labels():
    logits, labels = batch()
    method = METHODS["quantisation"](PROBLEM)
    assert method(logits, labels, 0.0) == method(logits, labels.flip(0), 0.9)


@pytest.mark.parametrize(("classes", "bits"), [(10, 16), (10, 64), (100, 64), (100, 16)])
def test_targets_differ_and_follow_from_the_seed(classes, bits):
    targets = far_targets(Problem(classes, bits, 3))
    assert targets.shape == (classes, bits)
    assert len(targets.unique(dim=0)) == classes
    assert torch.equal(targets, far_targets(Problem(classes, bits, 3)))
