"""config.pbtxt to the letter, and as Triton's own schema reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup, ModelQueuePolicy

from hashgrain.codes import CodeLayout, EncoderContract
from hashgrain.codes.errors import InvalidInput
from hashgrain.codes.pbtxt import read_encoder_contracts
from hashgrain.export.serving_profiles import PROFILES, TENSORRT, profile
from hashgrain.export.serving_settings import QueuePolicy, ServingSettings
from hashgrain.export.triton_config import encoder_config
from hashgrain.runtime.addresses import model_repository

GOLDEN = Path(__file__).parent.parent / "golden"
CONTRACT = EncoderContract(CodeLayout(12, 48), 64, "0123456789abcdef", ('quo"te', "back\\slash"), ("é",))
OTHER = EncoderContract(CodeLayout(12, 48), 64, "fedcba9876543210", ('quo"te',), ("é",))

TENSORRT_KEYS = {
    "precision_mode", "max_workspace_size_bytes", "trt_engine_cache_enable", "trt_engine_cache_path",
    "trt_engine_cache_prefix", "trt_timing_cache_enable", "trt_timing_cache_path", "trt_profile_min_shapes",
    "trt_profile_opt_shapes", "trt_profile_max_shapes",
}  # fmt: skip
"""Of those that the native backend knows (README of onnxruntime_backend); it refuses to load a model with another."""


def by_triton(text: str) -> ModelConfig:
    """The text as Triton's own schema reads it: an unknown field or a wrong type is an error."""
    return text_format.Parse(text, ModelConfig())


@pytest.mark.parametrize("name", PROFILES)
def test_config_is_the_golden_file_to_the_letter(name: str) -> None:
    golden = (GOLDEN / f"hash_encoder.{name}.config.pbtxt").read_text()
    assert encoder_config(CONTRACT, profile(name, 64)) == golden


def test_two_versions_are_the_golden_file_to_the_letter() -> None:
    golden = (GOLDEN / "hash_encoder.versions.config.pbtxt").read_text()
    assert encoder_config({7: OTHER, 3: CONTRACT}, profile("cpu")) == golden


def test_the_committed_config_is_what_the_default_profile_writes() -> None:
    committed = (model_repository() / "hash_encoder" / "config.pbtxt").read_text()
    assert committed == encoder_config(read_encoder_contracts(committed, "config.pbtxt"), profile("cpu"))


@pytest.mark.parametrize("name", PROFILES)
def test_tritons_schema_reads_every_profile(name: str) -> None:
    """Queues, versions and warm-up mean to Triton what they mean here."""
    settings = profile(name)
    config = by_triton(encoder_config({1: OTHER, 2: CONTRACT} if name != "tensorrt" else CONTRACT, settings))
    batching = config.dynamic_batching
    assert (batching.priority_levels, batching.default_priority_level) == (2, 1)
    for level, policy in ((1, settings.online), (2, settings.bulk)):
        queue = batching.priority_queue_policy[level]
        assert queue.timeout_action == ModelQueuePolicy.REJECT
        assert queue.default_timeout_microseconds == policy.timeout_s * 1_000_000
        assert queue.max_queue_size == policy.max_queue_size
        assert queue.allow_timeout_override
    assert list(config.version_policy.specific.versions) == ([1] if name == "tensorrt" else [1, 2])
    assert [warm.batch_size for warm in config.model_warmup] == list(settings.warmup)
    assert all(list(warm.inputs["image"].dims) == [64, 64, 3] for warm in config.model_warmup)
    assert config.parameters["hashgrain.fingerprint"].string_value == CONTRACT.fingerprint
    assert config.parameters["cudnn_conv_algo_search"].string_value == "1"  # else it becomes EXHAUSTIVE


def test_only_the_default_profile_loads_without_a_gpu() -> None:
    kinds = {name: by_triton(encoder_config(CONTRACT, profile(name))).instance_group[0].kind for name in PROFILES}
    assert kinds.pop("cpu") == ModelInstanceGroup.KIND_AUTO
    assert set(kinds.values()) == {ModelInstanceGroup.KIND_GPU}


@pytest.mark.parametrize("most", [16, 128])
def test_the_tensorrt_engine_spans_every_batch_and_belongs_to_one_model(most: int) -> None:
    config = by_triton(encoder_config(CONTRACT, profile("tensorrt", most)))
    (accelerator,) = config.optimization.execution_accelerators.gpu_execution_accelerator
    settings = dict(accelerator.parameters)
    assert accelerator.name == "tensorrt"
    assert set(settings) == TENSORRT_KEYS
    assert settings["precision_mode"] == "FP16"
    assert settings["trt_profile_min_shapes"] == "image:1x64x64x3"
    assert settings["trt_profile_max_shapes"] == f"image:{config.max_batch_size}x64x64x3" == f"image:{most}x64x64x3"
    assert CONTRACT.fingerprint[:12] in settings["trt_engine_cache_prefix"]
    assert all(size <= most for size in config.dynamic_batching.preferred_batch_size)


def test_versions_that_triton_cannot_serve_side_by_side_are_refused() -> None:
    longer = EncoderContract(CodeLayout(12, 64), 64, "cafe")
    with pytest.raises(InvalidInput, match=r"version 1 of hash_encoder .*48-bit.*, version 2 .*64-bit.*another repos"):
        encoder_config({1: CONTRACT, 2: longer}, profile("cpu"))
    with pytest.raises(InvalidInput, match="versions 1, 2 side by side would share one cache of TensorRT engines"):
        encoder_config({1: CONTRACT, 2: OTHER}, TENSORRT)


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_batch_size": 0},
        {"instances": 0},
        {"max_queue_delay_us": -1},
        {"kind": "KIND_TPU"},
        {"max_batch_size": 8, "warmup": (16,)},
        {"max_batch_size": 8, "preferred_batch_sizes": (0,)},
    ],
)
def test_settings_that_triton_would_refuse_are_refused_here(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        ServingSettings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(("size", "seconds"), [(0, 1), (1, 0), (1, float("inf"))])
def test_a_queue_without_bounds_is_refused(size: int, seconds: float) -> None:
    with pytest.raises(InvalidInput, match="a queue holds at least 1 request"):
        QueuePolicy(size, seconds)


def test_an_unknown_profile_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidInput, match="the profiles are cpu, gpu, tensorrt; got 'tpu'"):
        profile("tpu")
