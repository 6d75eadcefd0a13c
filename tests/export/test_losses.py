import numpy as np
import pytest
import torch

from hashgrain.export.losses import HierarchicalHashLoss, cosines, margin_cross_entropy, quantisation_error
from hashgrain.export.settings import TrainSettings
from hashgrain.export.train import build_loss


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
        torch.tensor([0, 1, 2, 3, 0, 1]),
    )
    assert terms.total.item() == pytest.approx(
        terms.fine.item() + 0.5 * terms.coarse.item() + 0.1 * terms.quantisation.item()
    )
