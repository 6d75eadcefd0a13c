"""Where a command finds Triton, Redis and the models when it is not told."""

from __future__ import annotations

import os
from pathlib import Path

from hashgrain.codes.errors import InvalidInput, ServerUnavailable, StoreUnavailable
from hashgrain.runtime import state
from hashgrain.runtime.home import find_home
from hashgrain.runtime.support import why_no_triton


def resolve_triton(option: str | None, home: Path | None = None) -> str:
    """Address for HashEncoder.

    Args:
        option: what the user gave by --triton or $HASHGRAIN_TRITON, taken as it is.
        home: the state folder of the embedded servers, by default as `home.find_home` says.

    Returns:
        The option, else grpc://127.0.0.1:PORT of the embedded Triton, else, where that cannot run on this machine,
        the model repository's path, to encode in process.

    Raises:
        ServerUnavailable: nothing was given, and no embedded Triton runs.
    """
    if option:
        return option
    found = find_home(home)
    now = state.without_dead(state.load(found))
    if now.triton:
        return now.triton.address
    if why_no_triton():
        return now.model_repository or str(model_repository())
    raise ServerUnavailable(
        f"no Triton server: none was started in {found.root}; start one with `hashgrain up`, or pass --triton "
        "(grpc://host:8001, http://host:8000, or a model repository's path to encode in process)"
    )


def resolve_metrics(option: str | None, triton: str | None, home: Path | None = None) -> str | None:
    """Address of Triton's metrics, for `encode_collection`.

    Args:
        option: what the user gave by --metrics or $HASHGRAIN_METRICS, taken as it is.
        triton: what the user gave by --triton or $HASHGRAIN_TRITON.
        home: the state folder of the embedded servers, by default as `home.find_home` says.

    Returns:
        The option, else that of the embedded Triton where no other was given, else the usual one of the Triton that
        was, or None where that cannot be known.
    """
    if option:
        return option
    if triton:
        from hashgrain.client.wire.energy import usual_metrics

        return usual_metrics(triton)
    now = state.without_dead(state.load(find_home(home)))
    return now.triton.metrics if now.triton else None


def resolve_redis(option: str | None, home: Path | None = None) -> str:
    """Address for Index.

    Args:
        option: what the user gave by --redis or $HASHGRAIN_REDIS, taken as it is.
        home: the state folder of the embedded servers, by default as `home.find_home` says.

    Returns:
        The option, else redis://127.0.0.1:PORT/0 of the embedded Redis.

    Raises:
        StoreUnavailable: nothing was given, and no embedded Redis runs.
    """
    if option:
        return option
    found = find_home(home)
    now = state.without_dead(state.load(found))
    if now.redis:
        return now.redis.address
    raise StoreUnavailable(
        f"no Redis server: none was started in {found.root}; start one with `hashgrain up`, "
        "or pass --redis redis://host:6379/0"
    )


def model_repository() -> Path:
    """The folder of models: $HASHGRAIN_MODEL_REPOSITORY, else the checkout's, else the one inside the wheel.

    Raises:
        InvalidInput: there is none.
    """
    if own := os.environ.get("HASHGRAIN_MODEL_REPOSITORY"):
        path = Path(own).expanduser().absolute()
        if not path.is_dir():
            raise InvalidInput(f"$HASHGRAIN_MODEL_REPOSITORY is {own}, which is not a folder; set it to one of models")
        return path
    package, checkout = Path(__file__).parents[1], Path(__file__).parents[3]
    candidates = [package / "model_repository"]
    if (checkout / "pyproject.toml").is_file():  # an editable installation; elsewhere that is a foreign folder
        candidates.insert(0, checkout / "model_repository")
    for path in candidates:
        if path.is_dir():
            return path
    raise InvalidInput(
        f"no model repository at {' or '.join(map(str, candidates))}; "
        "name one by --model-repository or $HASHGRAIN_MODEL_REPOSITORY"
    )
