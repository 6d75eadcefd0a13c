from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashgrain.codes import CodeLayout, HashCodes, hamming, unpack_bits
from hashgrain.codes.errors import InvalidInput
from hashgrain.export.partition import expected_least, partition_recall

LAYOUT = CodeLayout(8, 32)


def random_codes(rng, count):
    return HashCodes.from_logits(rng.normal(size=(count, 8)), rng.normal(size=(count, 32)))


KEYS = {"coarse": slice(8), "coarse + 6 fine bits": slice(14), "14 fine bits": slice(8, 22)}


def walked(queries, database, key, order, share, k, tries, rng):
    """Walk the items in the order of their keys' distances, ties at random, and count what was found."""
    bits = np.hstack([unpack_bits(codes, n) for codes, n in ((database.coarse, 8), (database.fine, 32))])[:, KEYS[key]]
    logits = np.hstack([queries.coarse_logits, queries.fine_logits])[:, KEYS[key]]
    fine = hamming(queries.fine, database.fine)
    found = []
    for query, row in enumerate(logits):
        differs = (row > 0) != bits
        weights = np.abs(row) if order == "margin" else np.ones(len(row))
        distance = np.round((differs * weights).sum(1), 5)
        limit = np.sort(fine[query])[k - 1]
        for _ in range(tries):
            scanned = np.lexsort((rng.random(len(bits)), distance))[: int(share * len(bits))]
            best = np.sort(fine[query][scanned])[:k]
            found.append((best <= limit).sum() / k)
    return np.mean(found), np.std(found) / np.sqrt(len(found))


def test_recall_is_that_of_walking_the_buckets():
    """Averaged over random orders of equals; four standard errors of room."""
    rng = np.random.default_rng(0)
    queries, database = random_codes(rng, 10), random_codes(rng, 400)
    recalls = partition_recall(queries, database, LAYOUT, k=5, shares=(0.05, 0.3), extra_fine_bits=6)
    assert [(r.key, r.order, r.share) for r in recalls] == [
        (key, order, share) for key in KEYS for order in ("margin", "hamming") for share in (0.05, 0.3)
    ]
    for r in recalls:
        mean, error = walked(queries, database, r.key, r.order, r.share, 5, 200, rng)
        assert r.recall == pytest.approx(mean, abs=4 * error + 1e-6), r


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_expected_least_equals_the_mean_over_all_draws(data):
    group = data.draw(st.integers(0, 6))
    good, drawn = (data.draw(st.integers(0, group)) for _ in range(2))
    limit = data.draw(st.integers(0, 4))
    orders = list(permutations([1] * good + [0] * (group - good)))
    expected = np.mean([min(limit, sum(order[:drawn])) for order in orders])
    found = expected_least(*(np.array([value]) for value in (limit, group, good, drawn)))[0]
    assert found == pytest.approx(expected, abs=1e-9)


def test_whole_database_finds_all_and_equals_are_not_missed():
    rng = np.random.default_rng(1)
    queries, database = random_codes(rng, 5), random_codes(rng, 40)
    twice = HashCodes.concatenate([database, database])  # every distance is tied
    assert all(r.recall == pytest.approx(1) for r in partition_recall(queries, twice, LAYOUT, k=3, shares=(1.0,)))


def test_margins_find_more_than_plain_hamming_distance():
    """Codes of items that are noisy copies of the queries: a bit near zero is the one that flips."""
    rng = np.random.default_rng(2)
    coarse, fine = rng.normal(size=(60, 8)), rng.normal(size=(60, 32))
    queries = HashCodes.from_logits(coarse, fine)
    noisy = [level + rng.normal(0, 0.3, (20, *level.shape)) for level in (coarse, fine)]
    database = HashCodes.from_logits(*(level.reshape(1200, -1) for level in noisy))
    recalls = {(r.key, r.order): r.recall for r in partition_recall(queries, database, LAYOUT, shares=(0.02,))}
    assert recalls["coarse", "margin"] > recalls["coarse", "hamming"] + 0.05


def test_shares_of_fewer_items_than_sought_are_left_out():
    rng = np.random.default_rng(3)
    queries, database = random_codes(rng, 2), random_codes(rng, 500)
    assert {r.share for r in partition_recall(queries, database, LAYOUT)} == {0.02, 0.05}
    assert partition_recall(queries, database[:100], LAYOUT) == ()


def test_queries_without_logits_are_refused():
    rng = np.random.default_rng(4)
    queries, database = random_codes(rng, 2), random_codes(rng, 500)
    with pytest.raises(InvalidInput, match="the queries carry no logits"):
        partition_recall(HashCodes(queries.coarse, queries.fine), database, LAYOUT)
