"""What Triton says of a model, read the same way from gRPC and HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hashgrain.client.wire.address import Address
from hashgrain.client.wire.in_flight import ModelStatistics
from hashgrain.client.wire.transport import Served
from hashgrain.codes.contract import ENCODER_MODEL, EncoderContract
from hashgrain.codes.errors import InvalidInput, ServerUnavailable


def read_served(
    address: Address,
    server: Mapping[str, Any],
    metadata: Mapping[str, Any],
    config: Mapping[str, Any],
    version: str,
) -> Served:
    """Check the contract and gather what an encoder needs to know.

    Args:
        address: where this was asked, for the messages.
        server: the reply to ServerMetadata as JSON.
        metadata: the reply to ModelMetadata as JSON (gRPC spells 64-bit integers as strings).
        config: the model's configuration as JSON.
        version: the version of the model that is asked for, "" where there are none.

    Raises:
        ContractViolation: the model is not a hash encoder.
    """
    source = f"the model {ENCODER_MODEL} at {address}"
    parameters = {key: value.get("string_value", "") for key, value in config.get("parameters", {}).items()}
    contract = EncoderContract.from_metadata(parameters, source, version)
    tensors = [*metadata.get("inputs", []), *metadata.get("outputs", [])]
    contract.check_tensors({t["name"]: (t["datatype"], tuple(map(int, t["shape"]))) for t in tensors}, source)
    return Served(
        contract=contract,
        max_batch_size=int(config.get("max_batch_size", 0)),
        server_name=str(server["name"]),
        server_version=str(server["version"]),
        model_version=version,
    )


def chosen_version(address: Address, metadata: Mapping[str, Any]) -> str:
    """The version that requests name, the address' or the newest: a server that loads another then refuses, instead of
    mixing two models' codes.

    Raises:
        InvalidInput: the address names a version that is not served.
    """
    versions: list[str] = sorted(metadata.get("versions", []), key=int)
    if not address.version:
        return versions[-1] if versions else ""
    if address.version not in versions:
        raise InvalidInput(
            f"the server at {address} serves version {', '.join(versions) or 'none'} of {ENCODER_MODEL}, not "
            f"{address.version}; put it into the model's folder and name it in config.pbtxt's version_policy"
        )
    return address.version


def read_statistics(statistics: Mapping[str, Any]) -> ModelStatistics:
    """Of the reply to ModelStatistics as JSON, for one version of the model (gRPC leaves out what is 0).

    https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_statistics.md
    """
    (model,) = statistics["model_stats"]
    times = model.get("inference_stats", {})

    def nanoseconds(*names: str) -> int:
        return sum(int(times.get(name, {}).get("ns", 0)) for name in names)

    return ModelStatistics(
        nanoseconds("queue"),
        nanoseconds("compute_input", "compute_infer", "compute_output"),
        int(times.get("success", {}).get("count", 0)),
        int(model.get("inference_count", 0)),
    )


def queue_microseconds(seconds: float) -> int:
    """How long a request may wait in a server's queue that has so long to be answered: Triton's `timeout`."""
    return max(int(seconds * 1e6), 1)


def require_ready(address: Address, *, server: bool, model: bool) -> None:
    """Raise ServerUnavailable, with the next step, unless server and model are ready."""
    if not server:
        raise ServerUnavailable(
            f"the server at {address} answers but is not ready; wait until it has loaded its models, "
            "or read its log for one that failed to load"
        )
    if not model:
        raise ServerUnavailable(
            f"the server at {address} is up but its model {ENCODER_MODEL} is not ready; put the folder {ENCODER_MODEL} "
            "that `hashgrain export` wrote into its model repository, or read its log for why it failed to load"
        )
