"""config.pbtxt of the `hash_encoder` model, written from dataclasses so that it can be tested to the letter.

The file is understood alike by Triton's native ONNX Runtime backend (NVIDIA's image) and by the python-based backend
of the same name that the embedded server uses, which leaves settings for CUDA and TensorRT alone. Field names and
meanings: Triton's model_config.proto; keys of accelerators and parameters: the README of its onnxruntime_backend.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping

from hashgrain.codes.contract import BULK, ENCODER_MODEL, ONLINE, EncoderContract, contracts_to_metadata
from hashgrain.codes.errors import InvalidInput
from hashgrain.export.serving_settings import Accelerator, QueuePolicy, ServingSettings

_COMMENT_WIDTH = 118


def encoder_config(contracts: EncoderContract | Mapping[int, EncoderContract], settings: ServingSettings) -> str:
    """The text of config.pbtxt for a hash encoder.

    Args:
        contracts: of the model; or, where several versions of it stand side by side, of each by its number.
        settings: how Triton runs it, see `serving_profiles`.

    Raises:
        InvalidInput: versions whose tensors differ, as Triton describes all by one file, or that would share a
            TensorRT engine; or a model of vectors for a profile that builds engines, whose shapes are pictures'.
    """
    versions = {1: contracts} if isinstance(contracts, EncoderContract) else dict(sorted(contracts.items()))
    newest = versions[max(versions)]
    _require_alike(versions, settings)
    _require_pictures(newest, settings)
    outputs = newest.tensors()
    inputs = {newest.input_name: outputs.pop(newest.input_name)}
    blocks = [
        *_head(settings),
        f"name: {_quote(ENCODER_MODEL)}",
        'backend: "onnxruntime"',
        *_comment(settings.batches_because),
        f"max_batch_size: {settings.max_batch_size}",
        _tensor_list("input", inputs),
        _tensor_list("output", outputs),
        *_comment(settings.instances_because),
        f"instance_group [ {{ count: {settings.instances} kind: {settings.kind} }} ]",
        *_dynamic_batching(settings),
        *_comment("The model is not ready before it has run these: no caller waits for what a first run sets up."),
        _warmup(settings.warmup, inputs),
        *_comment("Named versions only: a folder that appears beside them changes nobody's codes."),
        f"version_policy {{ specific {{ versions: [ {', '.join(map(str, versions))} ] }} }}",
        *(line for accelerator in settings.accelerators for line in _accelerator(accelerator, newest, settings)),
        *_comment(settings.parameters_because),
        *(_parameter(key, value) for key, value in settings.parameters.items()),
        *_comment("What the codes are: clients read this on connecting, and refuse a model that is not as it says."),
        *(_parameter(key, value) for key, value in contracts_to_metadata(versions).items()),
    ]
    return "\n".join(blocks) + "\n"


def _require_pictures(contract: EncoderContract, settings: ServingSettings) -> None:
    if contract.takes_vectors and any(accelerator.engine_cache for accelerator in settings.accelerators):
        raise InvalidInput(
            f"the profile {settings.profile} builds engines for pictures, the model takes {contract.input_words}: two "
            "matrices need none; use the profile gpu or cpu"
        )


def _require_alike(versions: Mapping[int, EncoderContract], settings: ServingSettings) -> None:
    newest = max(versions)
    for version, contract in versions.items():
        if contract.tensors() != versions[newest].tensors():
            raise InvalidInput(
                f"version {version} of {ENCODER_MODEL} takes {contract.input_words} and gives {contract.layout}, "
                f"version {newest} {versions[newest].input_words} and {versions[newest].layout}; Triton "
                "describes all versions of a model by the same tensors: export into another repository"
            )
    if len(versions) > 1 and any(accelerator.engine_cache for accelerator in settings.accelerators):
        raise InvalidInput(
            f"versions {', '.join(map(str, versions))} side by side would share one cache of TensorRT engines, and "
            "ONNX Runtime tells engines apart by the graph, not by its weights; use the profile gpu until the old "
            "version is gone, or export into another repository"
        )


def _head(settings: ServingSettings) -> list[str]:
    return [
        f"# Written by `hashgrain export --profile {settings.profile}`: export again to change it.",
        "#",
        *_comment(settings.purpose),
    ]


def _dynamic_batching(settings: ServingSettings) -> list[str]:
    preferred = ", ".join(map(str, settings.preferred_batch_sizes))
    return [
        *_comment(settings.delay_because),
        *_comment(
            "Two queues: single requests (priority 1, the default) go before bulk encoding (priority 2). A full queue "
            "rejects at once with UNAVAILABLE, and what has waited too long is rejected instead of computed for "
            "nobody; a client may shorten its own wait, as hashgrain's does to its deadline."
        ),
        "dynamic_batching {",
        *([f"  preferred_batch_size: [ {preferred} ]"] if preferred else []),
        f"  max_queue_delay_microseconds: {settings.max_queue_delay_us}",
        f"  priority_levels: {BULK}",
        f"  default_priority_level: {ONLINE}",
        _queue_policy(ONLINE, settings.online),
        _queue_policy(BULK, settings.bulk),
        "}",
    ]


def _queue_policy(level: int, policy: QueuePolicy) -> str:
    return (
        f"  priority_queue_policy {{ key: {level} value: {{ timeout_action: REJECT "
        f"default_timeout_microseconds: {round(policy.timeout_s * 1e6)} allow_timeout_override: true "
        f"max_queue_size: {policy.max_queue_size} }} }}"
    )


def _warmup(sizes: Iterable[int], inputs: Mapping[str, tuple[str, tuple[int, ...]]]) -> str:
    [(name, (dtype, shape))] = inputs.items()
    value = f"data_type: TYPE_{dtype} dims: [ {', '.join(map(str, shape[1:]))} ] random_data: true"
    rows = [
        f'  {{ name: "batch of {size}" batch_size: {size} inputs {{ key: "{name}" value: {{ {value} }} }} }}'
        for size in sizes
    ]
    return "model_warmup [\n" + ",\n".join(rows) + "\n]"


def _accelerator(accelerator: Accelerator, contract: EncoderContract, settings: ServingSettings) -> list[str]:
    words = {
        "fingerprint": contract.fingerprint[:12],
        "size": str(contract.input_size),
        "most": str(settings.max_batch_size),
    }
    return [
        *_comment(accelerator.because),
        "optimization { execution_accelerators { gpu_execution_accelerator: [ {",
        f"  name: {_quote(accelerator.name)}",
        *(
            f"  parameters {{ key: {_quote(key)} value: {_quote(value.format(**words))} }}"
            for key, value in accelerator.parameters.items()
        ),
        "} ] } }",
    ]


def _parameter(key: str, value: str) -> str:
    return f"parameters {{ key: {_quote(key)} value: {{ string_value: {_quote(value)} }} }}"


def _tensor_list(kind: str, tensors: dict[str, tuple[str, tuple[int, ...]]]) -> str:
    rows = [
        f"  {{ name: {_quote(name)} data_type: TYPE_{dtype} dims: [ {', '.join(map(str, shape[1:]))} ] }}"
        for name, (dtype, shape) in tensors.items()
    ]
    return f"{kind} [\n" + ",\n".join(rows) + "\n]"


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, _COMMENT_WIDTH, break_long_words=False, break_on_hyphens=False)]


def _quote(text: str) -> str:
    """A protobuf text-format string literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
