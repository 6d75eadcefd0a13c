"""Generated codes beside real ones, in figures: `python -m benchmarks.code_statistics [--data DIR] [--items N]`."""

from __future__ import annotations

import argparse
from dataclasses import astuple, dataclass, fields

import numpy as np

from benchmarks.codes import GeneratedCodes
from benchmarks.real_codes import HINT, real_codes
from hashgrain.codes import CodeLayout, HashCodes, hamming, unpack_bits
from hashgrain.codes.errors import HashgrainError
from hashgrain.codes.packing import coarse_keys

NEIGHBOURS_AMONG = 50_000


@dataclass(frozen=True)
class CodeStatistics:
    """How codes crowd.

    Attributes:
        codes: different coarse codes.
        entropy: of the coarse code, in bits.
        largest: share of the items that have the most frequent coarse code.
        singles: coarse codes of one item.
        balance: mean over the fine bits of |share of ones - 1/2|.
        repeated: share of the items whose fine code another, earlier item has.
        nearest, tenth: median over the queries of the fine Hamming distance to the nearest and the 10th nearest
            of the first 50,000 items.
    """

    codes: int
    entropy: float
    largest: float
    singles: int
    balance: float
    repeated: float
    nearest: float
    tenth: float

    @classmethod
    def of(cls, items: HashCodes, queries: HashCodes) -> CodeStatistics:
        """Measure items, at least ten, as queries see them."""
        bits = 8 * items.coarse.shape[1]
        sizes = np.unique(coarse_keys(items.coarse, bits), return_counts=True)[1]
        shares = sizes / len(items)
        ones = np.mean(unpack_bits(items.fine, 8 * items.fine.shape[1]), axis=0)
        distances = np.sort(hamming(queries.fine, items.fine[:NEIGHBOURS_AMONG]), axis=1)
        return cls(
            len(sizes), float(-(shares * np.log2(shares)).sum()), float(shares.max()), int((sizes == 1).sum()),
            float(np.abs(ones - 0.5).mean()), 1 - len(np.unique(items.fine, axis=0)) / len(items),
            float(np.median(distances[:, 0])), float(np.median(distances[:, 9])),
        )  # fmt: skip


def main() -> None:
    """Print real codes, generated ones of as many items and the same class sizes, and ones as benchmarks use them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help=HINT)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=500)
    arguments = parser.parse_args()
    columns: dict[str, CodeStatistics] = {}
    layout = CodeLayout(16, 64)
    if arguments.data:
        try:
            real, queries = real_codes(arguments.data, "train")[0], real_codes(arguments.data, "test")[0]
        except HashgrainError as exc:
            parser.error(str(exc))
        few = np.random.default_rng(0).permutation(len(queries))[: arguments.queries]
        columns["real"] = CodeStatistics.of(real, queries[few])
    count = len(real) if arguments.data else NEIGHBOURS_AMONG
    for name, made in {
        "generated": GeneratedCodes(layout, count, seed=1, exponent=0),
        "power law": GeneratedCodes(layout, count, seed=1),
        f"{arguments.items:,}": GeneratedCodes(layout, arguments.items, seed=1),
        f"{arguments.items:,}, 256 bits": GeneratedCodes(CodeLayout(16, 256), arguments.items, seed=1),
    }.items():
        columns[name] = CodeStatistics.of(made.codes(), made.queries(arguments.queries))
    print_statistics(columns)


def print_statistics(columns: dict[str, CodeStatistics]) -> None:
    """One line per figure; where the first column is of real codes, also the second's ratio to it."""
    print(f"{'':12}" + "".join(f"{name:>20}" for name in columns))
    for place, field in enumerate(fields(CodeStatistics)):
        values = [astuple(column)[place] for column in columns.values()]
        print(f"{field.name:12}" + "".join(f"{value:20,.4g}" for value in values), end="")
        print(f"   generated / real {values[1] / values[0]:.2f}" if "real" in columns and values[0] else "")


if __name__ == "__main__":
    main()
