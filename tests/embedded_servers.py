"""What the fixture `triton` yields."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hashgrain.codes import EncoderContract


@dataclass(frozen=True)
class EmbeddedServers:
    """A running embedded Triton and Redis.

    Attributes:
        grpc: Triton's address, grpc://127.0.0.1:PORT.
        http: Triton's address, http://127.0.0.1:PORT.
        redis: redis://127.0.0.1:PORT/0.
        contract: of the model that Triton serves, see `tiny_model`.
        repository: the folder of models.
        home: the state folder, for --home and $HASHGRAIN_HOME.
    """

    grpc: str
    http: str
    redis: str
    contract: EncoderContract
    repository: Path
    home: Path
