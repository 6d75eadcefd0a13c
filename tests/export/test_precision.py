"""Lower precision keeps the contract, the packing and the heads; what it rounds is the network's body alone."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper

from hashgrain.codes import CodeLayout, HashCodes, cpu_session
from hashgrain.codes.contract import COARSE_LOGITS, FINE_LOGITS
from hashgrain.codes.errors import CertificateError, InvalidInput
from hashgrain.codes.onnx_model import OnnxModel
from hashgrain.export.float_graph import body, plain_float
from hashgrain.export.graph import export_onnx
from hashgrain.export.half import to_half
from hashgrain.export.network import build_network
from hashgrain.export.onnx_session import OnnxEncoder
from hashgrain.export.precision import Lowering, Precision, lower
from hashgrain.export.precision_certificate import certify_precision
from hashgrain.export.settings import TrainSettings
from hashgrain.export.trial import TrialSettings, calibration_pictures, load_trial
from labelled_pictures import drawn, write_parquet

LAYOUT = CodeLayout(12, 40)
LOWERINGS = {
    "fp16": Lowering(Precision.FP16),
    "int8": Lowering(Precision.INT8, float_layers=1),
    "int8 from the first layer on": Lowering(Precision.INT8, float_layers=0),
}


@pytest.fixture(scope="module")
def pictures():
    return drawn(120, 0)[0]


@pytest.fixture(scope="module")
def exported(pictures, tmp_path_factory):
    """A small network whose BatchNorm has seen the pictures, exported with its weights in 16 bits."""
    torch.manual_seed(0)
    network = build_network(
        TrainSettings(data="none", backbone="small_cnn", coarse_bits=12, fine_bits=40, input_size=32)
    )
    for start in range(0, 120, 6):
        network(torch.from_numpy(pictures[start : start + 6]).permute(0, 3, 1, 2).float())
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    onnx.save(export_onnx(network.eval(), LAYOUT, 32, ("cat", "dog"), ("animal",))[0], path)
    return path


@pytest.fixture(scope="module")
def lowered(exported, pictures, tmp_path_factory):
    """The model in every lower precision, by name."""
    folder = tmp_path_factory.mktemp("lowered")
    for name, lowering in LOWERINGS.items():
        onnx.save(lower(exported, lowering, pictures[:64])[0], folder / f"{name}.onnx")
    return {name: folder / f"{name}.onnx" for name in LOWERINGS}


@pytest.mark.parametrize("name", LOWERINGS)
def test_contract_is_the_same_but_for_the_fingerprint(exported, lowered, name):
    before, after = OnnxModel(exported).contract, OnnxModel(lowered[name]).contract  # which checks the tensors
    assert after.fingerprint != before.fingerprint
    assert (after.layout, after.input_size, after.fine_classes, after.coarse_classes) == (
        before.layout, before.input_size, before.fine_classes, before.coarse_classes,
    )  # fmt: skip


@pytest.mark.parametrize("name", LOWERINGS)
def test_codes_are_the_packed_signs_of_logits_in_single_precision(lowered, pictures, name):
    codes = OnnxEncoder(lowered[name]).encode(pictures)
    expected = HashCodes.from_logits(codes.coarse_logits, codes.fine_logits)
    assert np.array_equal(codes.coarse, expected.coarse)
    assert np.array_equal(codes.fine, expected.fine)
    codes.check(LAYOUT)
    rounded = codes.fine_logits.astype(np.float16).astype(np.float32) == codes.fine_logits
    assert rounded.mean() < 0.01  # a converter that rounds all tensors rounds the logits, too


@pytest.mark.parametrize(("name", "most"), [("fp16", 0.005), ("int8", 0.05), ("int8 from the first layer on", 0.05)])
def test_few_bits_flip(exported, lowered, pictures, name, most):
    before, after = (OnnxEncoder(path).encode(pictures) for path in (exported, lowered[name]))
    for ours, theirs in ((before.coarse, after.coarse), (before.fine, after.fine)):
        assert np.unpackbits(ours ^ theirs).sum() <= most * ours.size * 8


def test_int8_gives_one_code_on_cpus_with_and_without_vnni(lowered, pictures, monkeypatch, tmp_path):
    """What a CPU without VNNI is told to compute is to the last bit what one with VNNI computes."""
    if "vnni" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this CPU has no VNNI to compare with")
    with_vnni = OnnxModel(lowered["int8"]).run(pictures, (COARSE_LOGITS, FINE_LOGITS))
    (tmp_path / "cpuinfo").write_text("flags : avx2 avx512f")
    monkeypatch.setattr(cpu_session, "_CPU", tmp_path / "cpuinfo")
    assert cpu_session.session_options().get_session_config_entry("session.x64quantprecision") == "1"
    without = OnnxModel(lowered["int8"]).run(pictures, (COARSE_LOGITS, FINE_LOGITS))
    for name, logits in with_vnni.items():
        assert np.array_equal(logits, without[name])


def test_heads_and_normalisation_keep_their_very_weights(exported, lowered):
    plain = plain_float(exported)
    inside = body(plain)
    outside = {name for node in plain.graph.node if node.name not in inside for name in node.input}
    kept = {w.name: w for w in plain.graph.initializer if w.name in outside and w.data_type == TensorProto.FLOAT}
    assert len(kept) >= 6  # mean, deviation, two heads with biases
    for path in lowered.values():
        after = {weight.name: weight for weight in onnx.load(path).graph.initializer}
        for name, weight in kept.items():
            assert np.array_equal(numpy_helper.to_array(after[name]), numpy_helper.to_array(weight))


def test_half_precision_begins_and_ends_once(lowered):
    casts = [node for node in onnx.load(lowered["fp16"]).graph.node if node.name.endswith("_half_cast")]
    assert len(casts) == 1


def test_int8_quarters_the_weights(exported, lowered):
    assert lowered["int8"].stat().st_size < 0.65 * exported.stat().st_size  # which holds them in 16 bits


def test_body_is_what_lies_between_normalisation_and_pooling(exported):
    plain = plain_float(exported)
    kinds = {node.name: node.op_type for node in plain.graph.node}
    assert sorted(kinds[name] for name in body(plain)) == ["Conv"] * 6 + ["MaxPool"] * 2 + ["Relu"] * 6
    assert sorted(kinds[name] for name in body(plain, skip=5)) == ["Conv", "Relu"]
    with pytest.raises(InvalidInput, match="has 6 weighted nodes before its heads, and the first 6"):
        body(plain, skip=6)


def test_weight_beyond_float16_is_refused(exported):
    plain = plain_float(exported)
    convolution = next(node for node in plain.graph.node if node.op_type == "Conv")
    weight = next(weight for weight in plain.graph.initializer if weight.name == convolution.input[1])
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1e6), weight.name))
    with pytest.raises(InvalidInput, match="beyond float16's 65,504"):
        to_half(plain)


def test_lowering_that_means_nothing_is_refused():
    with pytest.raises(InvalidInput, match="choose fp16 or int8"):
        Lowering(Precision.FP32)
    with pytest.raises(InvalidInput, match="got -1 and 512"):
        Lowering(Precision.INT8, float_layers=-1)


def test_certificate_of_a_copy_says_that_nothing_changed(exported, tmp_path):
    data = write_parquet(tmp_path, {"train": 60, "test": 20})
    trial = load_trial(TrialSettings(str(data), limit=0.0), 32)
    certificate = certify_precision(exported, exported, LOWERINGS["fp16"], None, trial, None)
    assert (certificate.coarse.differing, certificate.fine.differing) == (0, 0)
    assert certificate.fine.bits == 20 * 40
    assert certificate.retrieval.reference == certificate.retrieval.converted
    assert certificate.speed[0].threads == 1


def test_certificate_refuses_another_network(exported, lowered, tmp_path):
    """By the limit that was given, not by the one of exports."""
    data = write_parquet(tmp_path, {"train": 60, "test": 20})
    trial = load_trial(TrialSettings(str(data), limit=-1.0), 32)
    with pytest.raises(CertificateError, match=r"bits flip in int8 .* limit is -100\.000%.*--float-layers, here 1"):
        certify_precision(exported, lowered["int8"], LOWERINGS["int8"], None, trial, None)


def test_calibration_sees_only_what_training_may_see(tmp_path):
    data = write_parquet(tmp_path, {"train": 60, "test": 20})
    trial = load_trial(TrialSettings(str(data), pictures=20, database=30), 32)
    pictures, told = calibration_pictures(trial, 10)
    assert told.startswith("10 of ")
    assert "(train)" in told
    train = {picture.tobytes() for picture in trial.task.database.images}
    assert all(picture.tobytes() in train for picture in pictures)
