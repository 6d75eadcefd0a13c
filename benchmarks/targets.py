"""What is to be reached, and how far off a run is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A figure with its bound.

    Attributes:
        what: the figure.
        value: as measured, or None where this run could not measure it (then `what` says how to).
        bound: what it may be at most, or must be at least.
        at_most: which of both.
        unit: for print.
    """

    what: str
    value: float | None
    bound: float
    at_most: bool = True
    unit: str = ""

    def line(self) -> str:
        """One line of the table, with "met", or the factor that is missing."""
        bound = f"{'<=' if self.at_most else '>='} {number(self.bound)}{self.unit}"
        if self.value is None:
            return f"{self.what:66}{'-':>14}{bound:>16}  not measured"
        return f"{self.what:66}{number(self.value) + self.unit:>14}{bound:>16}  {self.verdict()}"

    def verdict(self) -> str:
        """Whether the bound holds, and if not, by what factor it is missed."""
        assert self.value is not None
        if self.value <= self.bound if self.at_most else self.value >= self.bound:
            return "met"
        worse, better = (self.value, self.bound) if self.at_most else (self.bound, self.value)
        return f"missed by {worse / better:.2f} x" if better else "missed"


def number(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
