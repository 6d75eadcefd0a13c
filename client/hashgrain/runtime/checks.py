"""`Check`, one finding of `hashgrain doctor`, and the list of all of them.

Every check is a function that returns findings and raises nothing; they live in the modules `checks_machine`,
`checks_model` and `checks_servers`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
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


def examine(home: Path | None = None, triton: str | None = None, redis: str | None = None) -> tuple[Check, ...]:
    """Look at everything.

    Args:
        home: the state folder of the embedded servers, by default as `home.find_home` says.
        triton: Triton's address, where another than the embedded one is used.
        redis: Redis' address, where another than the embedded one is used.
    """
    from hashgrain.runtime import checks_machine, checks_model, checks_packages, checks_redis, checks_servers

    return (
        checks_machine.python(),
        *checks_packages.packages(),
        checks_machine.triton_here(),
        checks_machine.libpython(),
        checks_machine.triton_environment(),
        checks_machine.redis_program(),
        checks_machine.shared_memory(),
        checks_machine.gpu(),
        *checks_model.model(home),
        *checks_servers.embedded(home),
        checks_servers.ports(home),
        checks_servers.served_model(home, triton),
        *checks_redis.redis_server(home, redis),
    )
