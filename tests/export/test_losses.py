import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hashgrain.export.batches import Labels
from hashgrain.export.losses import (
    HierarchicalHashLoss,
    build_loss,
    cosines,
    halving_error,
    margin_cross_entropy,
    quantisation_error,
)
from hashgrain.export.settings import TrainSettings


def test_quantisation_error_is_the_distance_to_the_sign_and_zero_counts_as_minus_one():
    logits = torch.tensor([[0.5, -2.0], [0.0, 1.0]])
    assert quantisation_error(logits).item() == pytest.approx((0.25 + 1.0 + 1.0 + 0.0) / 4)


def test_quantisation_pulls_logits_towards_their_own_sign():
    logits = torch.tensor([[0.5, -2.0]], requires_grad=True)
    quantisation_error(logits).backward()
    assert logits.grad[0, 0] < 0 < logits.grad[0, 1] * -1 or logits.grad[0, 1] < 0
    stepped = logits - 0.1 * logits.grad
    assert quantisation_error(stepped) < quantisation_error(logits)


def test_margin_cross_entropy_equals_the_written_formula():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 8, generator=generator)
    targets = torch.sign(torch.randn(3, 8, generator=generator))
    labels = torch.tensor([0, 2, 1, 1, 0])
    expected = []
    for row, label in zip(logits, labels, strict=True):
        scores = [
            16 * (torch.dot(row, t) / (row.norm() * t.norm()) - (0.2 if n == label else 0))
            for n, t in enumerate(targets)
        ]
        expected.append(-torch.log_softmax(torch.stack(scores), 0)[label])
    loss = margin_cross_entropy(logits, targets, labels, scale=16, margin=0.2)
    assert loss.item() == pytest.approx(torch.stack(expected).mean().item(), rel=1e-5)


def test_cosine_of_a_target_with_itself_is_one():
    targets = torch.tensor([[1.0, -1.0, 1.0, 1.0]])
    assert cosines(3 * targets, targets).item() == pytest.approx(1.0)


def test_total_is_the_weighted_sum_over_both_levels():
    settings = TrainSettings(data="none", coarse_weight=0.5, quantisation_weight=0.1)
    parent = np.array([0, 0, 1, 1])
    loss = build_loss(settings, parent)
    assert isinstance(loss, HierarchicalHashLoss)
    generator = torch.Generator().manual_seed(0)
    terms = loss(
        torch.randn(6, 16, generator=generator),
        torch.randn(6, 64, generator=generator),
        Labels(torch.tensor([0, 1, 2, 3, 0, 1])),
    )
    assert terms.total.item() == pytest.approx(
        terms.fine.item() + 0.5 * terms.coarse.item() + 0.1 * terms.quantisation.item()
    )


def logits_of(settings, count=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, settings.coarse_bits, generator=generator), torch.randn(
        count, settings.fine_bits, generator=generator
    )


def test_mixed_labels_weigh_both_classes_by_their_share():
    settings = TrainSettings(data="none")
    loss = build_loss(settings, np.array([0, 0, 1, 1]))
    coarse, fine = logits_of(settings)
    first, second = torch.tensor([0, 1, 2, 3, 0, 1]), torch.tensor([3, 2, 1, 0, 3, 2])
    mixed = loss(coarse, fine, Labels(first, second, 0.7))
    alone = [loss(coarse, fine, Labels(labels)) for labels in (first, second)]
    for name in ("fine", "coarse"):
        parts = [getattr(terms, name).item() for terms in alone]
        assert getattr(mixed, name).item() == pytest.approx(0.7 * parts[0] + 0.3 * parts[1], rel=1e-5)


def test_share_may_be_a_tensor_and_a_picture_mixed_with_its_own_class_is_whole():
    """What a recorded step feeds where nothing is mixed."""
    settings = TrainSettings(data="none")
    loss = build_loss(settings, np.array([0, 0, 1, 1]))
    coarse, fine = logits_of(settings)
    first = torch.tensor([0, 1, 2, 3, 0, 1])
    whole = loss(coarse, fine, Labels(first)).record()
    assert torch.allclose(loss(coarse, fine, Labels(first, first, torch.tensor(1.0))).record(), whole)
    assert torch.allclose(loss(coarse, fine, Labels(first, first, torch.tensor(0.3))).record(), whole)


def test_free_bits_are_left_out_of_the_coarse_classification():
    settings = TrainSettings(data="none", free_bits=4, quantisation_weight=0.0, free_weight=0.0)
    loss = build_loss(settings, np.array([0, 0, 1, 1]))
    assert loss.coarse_targets.shape == (2, 12)
    coarse, fine = logits_of(settings)
    labels = Labels(torch.tensor([0, 1, 2, 3, 0, 1]))
    before = loss(coarse, fine, labels).total.item()
    coarse[:, 12:] *= -3
    assert loss(coarse, fine, labels).total.item() == pytest.approx(before)


@given(st.integers(0, 10_000))
def test_halving_error_equals_the_plain_definition(seed):
    rng = np.random.default_rng(seed)
    values = rng.permutation(3 * rng.integers(2, 20)).reshape(-1, 3).astype(np.float32) / 7 - 2.01
    groups = rng.integers(0, 4, len(values))
    errors = np.zeros(values.shape)
    names = [str(group) for group in groups]  # a group and the signs of the bits before
    for bit in range(3):
        for name in set(names):
            rows = [row for row in range(len(values)) if names[row] == name]
            ascending = sorted(rows, key=lambda row: values[row, bit])
            half = len(rows) // 2
            for wanted, part in ((-1, ascending[:half]), (1, ascending[len(rows) - half :])):
                errors[part, bit] = (values[part, bit] - wanted) ** 2
        names = [name + str(values[row, bit] > 0) for row, name in enumerate(names)]
    found = halving_error(torch.from_numpy(values), torch.from_numpy(groups), 4)
    assert found.item() == pytest.approx(errors.mean(), rel=1e-5)


def test_halving_makes_equal_parts_of_every_group():
    """Descent on the term alone spreads groups that lie on one side over all values of two bits."""
    logits = torch.randn(80, 2, generator=torch.Generator().manual_seed(0)) + 3
    groups = torch.arange(80) % 2
    for _ in range(200):
        logits.requires_grad_(True)
        (gradient,) = torch.autograd.grad(halving_error(logits, groups, 2), logits)
        logits = (logits - 20 * gradient).detach()
    values = 2 * (logits[:, 0] > 0) + (logits[:, 1] > 0)
    for group in (0, 1):
        assert torch.bincount(values[groups == group], minlength=4).tolist() == [10, 10, 10, 10]


def test_teacher_that_agrees_costs_nothing_and_one_that_differs_does():
    settings = TrainSettings(data="none", teacher_temperature=3.0)
    parent = np.array([0, 0, 1, 1])
    loss = build_loss(settings, parent)
    coarse, fine = logits_of(settings)
    labels = Labels(torch.tensor([0, 1, 2, 3, 0, 1]))
    own = loss.scores(fine)
    agreeing = loss(coarse, fine, labels, own)
    likely = torch.softmax(own / 3, 1)
    above = torch.stack([likely[:, :2].sum(1), likely[:, 2:].sum(1)], 1)
    student = torch.log_softmax(settings.scale * cosines(coarse, loss.coarse_targets) / 3, 1)
    divergence = (above * (above.log() - student)).sum(1).mean().item()
    assert agreeing.teacher.item() == pytest.approx(9 * settings.coarse_weight * divergence, rel=1e-4)
    assert loss(coarse, fine, labels, own.flip(1)).teacher > agreeing.teacher
