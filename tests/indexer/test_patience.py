"""Kept buckets are left alone for longer the more often they turn out not to hold, and gone by again once they do."""

from __future__ import annotations

from hashgrain.indexer.searching.patience import MOST_SKIPPED, Patience


def skipped(patience: Patience) -> int:
    """How many readings leave the kept buckets alone before one may go by them."""
    count = 0
    while not patience.allows():
        count += 1
    return count


def test_what_holds_is_always_gone_by() -> None:
    patience = Patience()
    for _ in range(5):
        assert skipped(patience) == 0
        patience.learn(held=True)


def test_each_loss_is_waited_on_twice_as_long_up_to_a_bound() -> None:
    patience = Patience()
    waits = []
    for _ in range(8):
        patience.learn(held=False)
        waits.append(skipped(patience))
    assert waits == [1, 3, 7, 15, 31, 63, 63, 63]
    assert waits[-1] == MOST_SKIPPED


def test_trust_comes_back_as_it_went() -> None:
    """By halves: where every other reading is lost, most leave the kept buckets alone."""
    patience = Patience()
    for _ in range(3):
        patience.learn(held=False)
    waits = []
    for held in (True, True, False, True, True, True):
        patience.learn(held=held)
        waits.append(skipped(patience))
    assert waits == [3, 1, 3, 1, 0, 0]
