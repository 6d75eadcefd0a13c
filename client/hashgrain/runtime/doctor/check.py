"""`Check`, one finding of `hashgrain doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warn", "fail", "skipped"]


@dataclass(frozen=True)
class Check:
    """One finding.

    Attributes:
        name: what was looked at, in a few words.
        verdict: ok; warn: works, with a drawback; fail: must be mended; skipped: could not be looked at, or is not
            needed.
        found: what was seen.
        mend: what to do about it, or empty.
    """

    name: str
    verdict: Verdict
    found: str
    mend: str = ""
