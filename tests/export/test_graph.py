import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.contract import COARSE_CODE, EncoderContract
from hashgrain.codes.errors import CertificateError, ContractViolation, InvalidInput
from hashgrain.export.certificate import certify
from hashgrain.export.graph import export_onnx
from hashgrain.export.metadata import fingerprint
from hashgrain.export.network import build_network
from hashgrain.export.onnx_session import OnnxEncoder
from hashgrain.export.settings import TrainSettings

LAYOUT = CodeLayout(12, 40)
NAMES = (("cat", "dog"), ("animal",))


@pytest.fixture(scope="module")
def network():
    """A small network whose BatchNorm has seen some pictures, so that its bits vary."""
    torch.manual_seed(0)
    network = build_network(
        TrainSettings(data="none", backbone="small_cnn", coarse_bits=12, fine_bits=40, input_size=32)
    )
    for _ in range(20):
        network(torch.rand(16, 3, 32, 32) * 255)
    return network.eval()


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    model, contract = export_onnx(network, LAYOUT, 32, *NAMES)
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    onnx.save(model, path)
    return path, contract


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (300, 32, 32, 3), np.uint8)


@pytest.mark.parametrize("count", [1, 2, 7, 128])
def test_batch_is_dynamic_and_rows_do_not_depend_on_it(exported, pictures, count):
    encoder = OnnxEncoder(exported[0])
    alone, together = encoder.encode(pictures[:count], batch=1), encoder.encode(pictures[:count], batch=count)
    assert np.array_equal(alone.fine, together.fine)
    assert np.array_equal(alone.coarse, together.coarse)


def test_codes_are_the_packed_signs_of_the_logits(exported, pictures):
    codes = OnnxEncoder(exported[0]).encode(pictures)
    expected = HashCodes.from_logits(codes.coarse_logits, codes.fine_logits)
    assert np.array_equal(codes.coarse, expected.coarse)
    assert np.array_equal(codes.fine, expected.fine)
    codes.check(LAYOUT)  # the padding bits of 12-bit codes are zero


def test_metadata_hold_the_contract_and_tensors_keep_it(exported):
    path, contract = exported
    session = onnxruntime.InferenceSession(str(path))
    read = EncoderContract.from_metadata(session.get_modelmeta().custom_metadata_map, "the model")
    assert read == contract
    assert (read.layout, read.input_size, read.fine_classes, read.coarse_classes) == (LAYOUT, 32, *NAMES)
    kinds = {"tensor(uint8)": "UINT8", "tensor(float)": "FP32"}
    found = {
        value.name: (kinds[value.type], (-1, *value.shape[1:]))
        for value in [*session.get_inputs(), *session.get_outputs()]
    }
    read.check_tensors(found, "the model")


def test_fingerprint_follows_the_weights_and_nothing_else(exported, network):
    path, contract = exported
    model = onnx.load(path)
    assert fingerprint(model) == contract.fingerprint
    model.producer_version = "another"
    assert fingerprint(model) == contract.fingerprint
    assert export_onnx(network, LAYOUT, 32, *NAMES)[1].fingerprint == contract.fingerprint
    weight = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    weight.raw_data = bytes([weight.raw_data[0] ^ 1]) + weight.raw_data[1:]
    assert fingerprint(model) != contract.fingerprint


def test_exported_file_tells_nothing_of_the_machine(exported):
    assert b"site-packages" not in exported[0].read_bytes()
    assert b".py" not in exported[0].read_bytes()


def test_16_bit_weights_halve_the_file(network, exported, tmp_path):
    onnx.save(export_onnx(network, LAYOUT, 32, *NAMES, compact=False)[0], tmp_path / "full.onnx")
    assert exported[0].stat().st_size < 0.6 * (tmp_path / "full.onnx").stat().st_size


def test_certificate_counts_the_bits_that_differ(network, exported, pictures):
    certificate = certify(network, exported[0], pictures, "noise", limit=0.5)
    with torch.no_grad():
        _, fine = network(torch.from_numpy(pictures).permute(0, 3, 1, 2).float())
    ours = np.packbits(fine.numpy() > 0, axis=1)
    theirs = OnnxEncoder(exported[0]).encode(pictures).fine
    assert certificate.fine.differing == int(np.unpackbits(ours ^ theirs).sum())
    assert certificate.fine.bits == 300 * 40
    assert certificate.fine.largest_flipped_logit <= certificate.fine.largest_logit_difference
    assert len(certificate.coarse.per_bit) == 12
    assert certificate.fingerprint == exported[1].fingerprint


def test_certificate_fails_for_another_network(exported, pictures):
    torch.manual_seed(1)
    other = build_network(
        TrainSettings(data="none", backbone="small_cnn", coarse_bits=12, fine_bits=40, input_size=32)
    ).eval()
    with pytest.raises(CertificateError, match=r"of the coarse bits differ .* the limit is 0\.200%.*--limit"):
        certify(other, exported[0], pictures, "noise")


def test_wrong_pictures_and_models_are_refused(exported, tmp_path):
    with pytest.raises(InvalidInput, match=r"takes uint8 pictures of \(32, 32, 3\), got uint8 \(1, 16, 16, 3\)"):
        OnnxEncoder(exported[0]).encode(np.zeros((1, 16, 16, 3), np.uint8))
    with pytest.raises(InvalidInput, match="holds no model.*hashgrain export"):
        OnnxEncoder(tmp_path)
    (tmp_path / "model.onnx").write_bytes(exported[0].read_bytes()[:1000])
    with pytest.raises(ContractViolation, match="cannot be loaded"):
        OnnxEncoder(tmp_path)
    bare = onnx.load(exported[0])
    del bare.metadata_props[:]
    onnx.save(bare, tmp_path / "model.onnx")
    with pytest.raises(ContractViolation, match="carries no hashgrain.contract"):
        OnnxEncoder(tmp_path / "model.onnx").encode(np.zeros((1, 32, 32, 3), np.uint8))


def test_output_names_are_the_contracts(exported):
    assert onnx.load(exported[0]).graph.output[0].name == COARSE_CODE
