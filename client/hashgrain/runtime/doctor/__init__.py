"""What `hashgrain doctor` looks at: `examine` goes through all of it.

Every check is a function that returns findings and raises nothing; a module holds those of one part.
"""

from __future__ import annotations

from pathlib import Path

from hashgrain.runtime.doctor import machine, model, packages, servers
from hashgrain.runtime.doctor import redis as store
from hashgrain.runtime.doctor.check import Check

__all__ = ["Check", "examine"]


def examine(home: Path | None = None, triton: str | None = None, redis: str | None = None) -> tuple[Check, ...]:
    """Look at everything.

    Args:
        home: the state folder of the embedded servers, by default as `home.find_home` says.
        triton: Triton's address, where another than the embedded one is used.
        redis: Redis' address, where another than the embedded one is used.
    """
    return (
        machine.python(),
        *packages.packages(),
        machine.triton_here(),
        machine.libpython(),
        machine.triton_environment(),
        machine.redis_program(),
        machine.shared_memory(),
        machine.gpu(),
        *model.model(home),
        *servers.embedded(home),
        servers.ports(home),
        servers.served_model(home, triton),
        *store.redis_server(home, redis),
    )
