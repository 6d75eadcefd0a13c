"""New heads on a trained backbone."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from hashgrain.codes.errors import InvalidInput, TrainingError
from hashgrain.export.features import backbone_features
from hashgrain.export.losses import build_loss, cosines
from hashgrain.export.network import HashNetwork
from hashgrain.export.refit import fit_heads, refit
from hashgrain.export.run_folder import RunFolder
from hashgrain.export.settings import TrainSettings
from hashgrain.export.train import train
from labelled_pictures import write_parquet

DEVICE = torch.device("cpu")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    data = write_parquet(tmp_path_factory.mktemp("data"), {"train": 160, "test": 16})
    settings = TrainSettings(data=str(data), backbone="small_cnn", input_size=32, fine_bits=32, coarse_bits=8, epochs=1,
                             batch_size=16)  # fmt: skip
    run = RunFolder.create(tmp_path_factory.mktemp("runs") / "source")
    train(settings, run, device="cpu", progress=False)
    return run


def test_refitted_run_keeps_the_backbone_and_has_the_heads_that_were_asked_for(source, tmp_path):
    changes = {"coarse_bits": 10, "fine_bits": 64, "free_bits": 2, "scale": 8.0}
    target = RunFolder.create(tmp_path / "target")
    network = refit(source, target, changes, epochs=5, device="cpu", progress=False)
    assert target.settings() == dataclasses.replace(source.settings(), **changes)
    loaded, _, _ = target.load_network()
    pixels = torch.rand(4, 3, 32, 32) * 255
    with torch.no_grad():
        coarse, fine = loaded(pixels)
        assert (coarse.shape, fine.shape) == ((4, 10), (4, 64))
        assert torch.allclose(fine, network(pixels)[1], atol=1e-4)
        assert torch.allclose(loaded.features(pixels), source.load_network()[0].features(pixels), atol=1e-4)
    again = refit(source, RunFolder.create(tmp_path / "again"), changes, epochs=5, device="cpu", progress=False)
    assert all(
        torch.equal(a, b) for a, b in zip(again.state_dict().values(), loaded.state_dict().values(), strict=True)
    )


def test_new_heads_may_stand_for_another_hierarchy(source, tmp_path):
    file = tmp_path / "deep.json"
    names = source.load_network()[1]
    file.write_text(json.dumps({"all": {"first": {"one": [names[0], names[3]]}, "second": [names[1], names[2]]}}))
    target = RunFolder.create(tmp_path / "deeper")
    changes = {"hierarchy": str(file), "coarse_level": 2}
    refit(source, target, changes, epochs=2, device="cpu", progress=False)
    assert target.load_network()[2] == ("first", "second")
    flat = RunFolder.create(tmp_path / "flat")
    refit(target, flat, {"hierarchy": str(file)}, epochs=2, device="cpu", progress=False)
    assert flat.settings().coarse_level == 0  # a level of the hierarchy before says nothing about this one


@pytest.mark.long
def test_heads_bring_codes_home_to_their_targets(source):
    """Separable features: each picture is nearest to its own target, by far on average, and each bit is centred."""
    labels = torch.arange(400) % 4
    features = torch.eye(256)[labels] + 0.05 * torch.randn(400, 256, generator=torch.Generator().manual_seed(0))
    trained, _, _ = source.load_network()
    settings = source.settings()
    torch.manual_seed(0)
    network = HashNetwork.around(trained, settings.layout)
    loss = build_loss(settings, np.array([0, 0, 1, 1]))
    fit_heads(network, features, labels, loss, epochs=100, progress=False)
    with torch.no_grad():
        logits = network.fine_head(features)
    similarity = cosines(logits, loss.fine_targets)
    own = torch.nn.functional.one_hot(labels, 4).bool()
    assert (similarity.argmax(1) == labels).all()
    assert similarity[own].mean() > 0.3 + similarity[~own].mean()
    assert logits.mean(0).abs().max() < 1e-3


def test_features_are_what_the_heads_are_fed(source):
    network, _, _ = source.load_network()
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    features = backbone_features(network, images, DEVICE, progress=False, batch=2)
    with torch.no_grad():
        _, fine = network(torch.from_numpy(images).permute(0, 3, 1, 2).float())
        assert torch.allclose(network.fine_head(features), fine, atol=1e-5)


def test_heads_that_cannot_be_are_refused(source, tmp_path):
    with pytest.raises(InvalidInput, match="a multiple of 8, got 60"):
        refit(source, RunFolder.create(tmp_path / "odd"), {"fine_bits": 60}, device="cpu", progress=False)
    with pytest.raises(InvalidInput, match=r"new heads cannot change \['input_size'\]"):
        refit(source, RunFolder.create(tmp_path / "odd"), {"input_size": 64}, device="cpu", progress=False)
    network, _, _ = source.load_network()
    loss = build_loss(source.settings(), np.array([0, 0, 1, 1]))
    with pytest.raises(TrainingError, match="need at least 2"):
        fit_heads(network, torch.zeros(1, 256), torch.zeros(1, dtype=torch.int64), loss, epochs=1, progress=False)
    assert not (tmp_path / "odd").exists()
