"""How the model is set up: the `parameters` of its config.pbtxt, and the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from hashgrain.codes.errors import InvalidInput
from hashgrain.indexer import Timeouts
from hashgrain.indexer.keeping.cache_size import require_max_staleness
from hashgrain.indexer.stored.header import split_name
from hashgrain.indexer.wire.connection import Connection

ENVIRONMENT = {"redis": "HASHGRAIN_REDIS", "index": "HASHGRAIN_INDEX"}
"""Settings that a variable of the server's environment overrides."""


@dataclass(frozen=True)
class Settings:
    """The model's settings.

    Attributes:
        redis: Redis' address.
        index: the index that is searched where a request names none.
        redis_connect_s: seconds to wait for a connection to Redis.
        redis_read_s: seconds to wait for each of its answers.
        max_k: the most neighbours that a request may ask for.
        cache_bytes: how much of each index each instance keeps between requests, see `Index.open`; 0 for nothing.
        max_staleness_s: seconds by which an answer may be older than the index, see `Index.open`; 0 for not at all.
        kept_pictures: of how many single pictures each instance keeps the codes; 0 for none.
        shadow: share of the searches that are searched for exhaustively in the background, to know their recall; 0 for
            none.

    Raises:
        InvalidInput: a value cannot be used.
    """

    redis: str = "redis://localhost:6379/0"
    index: str = "photos"
    redis_connect_s: float = 2.0
    redis_read_s: float = 5.0
    max_k: int = 1000
    cache_bytes: int = 64 << 20
    max_staleness_s: float = 0.0
    kept_pictures: int = 4096
    shadow: float = 0.0

    def __post_init__(self) -> None:
        for name, least in (("max_k", 1), ("cache_bytes", 0), ("kept_pictures", 0)):
            if getattr(self, name) < least:
                raise InvalidInput(f"{name} must be {least} or more, got {getattr(self, name)}")
        require_max_staleness(self.max_staleness_s, self.cache_bytes or None)
        if not 0 <= self.shadow <= 1:
            raise InvalidInput(f"shadow must be 0 to 1, the share of searches to sample, got {self.shadow}")
        split_name(self.index)
        Connection.to(self.redis, self.timeouts).close()  # it only reads the address; nothing connects yet

    @property
    def timeouts(self) -> Timeouts:
        """Deadlines of every call to Redis."""
        return Timeouts(connect=self.redis_connect_s, read=self.redis_read_s)


def read_settings(model_config: Mapping[str, Any], environment: Mapping[str, str]) -> Settings:
    """The settings of a model.

    Args:
        model_config: config.pbtxt as Triton hands it over in JSON.
        environment: the process' variables.

    Raises:
        InvalidInput: a parameter is unknown, or has a value that cannot be read.
    """
    given = {name: row["string_value"] for name, row in model_config.get("parameters", {}).items()}
    known = [field.name for field in fields(Settings)]
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise InvalidInput(
            f"config.pbtxt of image_search has the unknown parameter {', '.join(unknown)}; "
            f"it can have {', '.join(known)}"
        )
    given |= {name: environment[variable] for name, variable in ENVIRONMENT.items() if environment.get(variable)}
    kinds: dict[str, type] = {
        "redis_connect_s": float,
        "redis_read_s": float,
        "max_k": int,
        "cache_bytes": int,
        "max_staleness_s": float,
        "kept_pictures": int,
        "shadow": float,
    }
    values: dict[str, Any] = {}
    for name, text in given.items():
        kind = kinds.get(name, str)
        try:
            values[name] = kind(text)
        except ValueError:
            raise InvalidInput(
                f"config.pbtxt of image_search sets {name} to {text!r}; it must be {_NUMBERS[kind]}"
            ) from None
    return Settings(**values)


_NUMBERS = {float: "a number", int: "an integer"}
