"""Backbones by name: what they return, and what is said where one is not to be had."""

import sys
import types

import pytest
import torch

from hashgrain.codes.errors import InvalidInput, MissingDependency
from hashgrain.export.backbones import BACKBONES, build_backbone


def parameters(module):
    return sum(weight.numel() for weight in module.parameters())


@pytest.mark.parametrize("name", sorted(set(BACKBONES) - {"efficientnet_lite1", "efficientnet_lite2"}))
def test_features_are_as_wide_as_told_at_more_than_one_size(name):
    """The larger EfficientNets are the same code as the smallest."""
    backbone = build_backbone(name, pretrained=False)
    backbone.module.eval()
    with torch.no_grad():
        for size in (32, 40):
            assert backbone.module(torch.zeros(2, 3, size, size)).shape == (2, backbone.features)


@pytest.mark.parametrize(
    (
        "name",
        "expected",
    ),  # torchvision's counts for 1,000 classes, less the classifier and, for ResNets, the larger stem
    [
        ("resnet18", 11_689_512 - 513_000 - 9_408 + 1_728),
        ("resnet50", 25_557_032 - 2_049_000 - 9_408 + 1_728),
        ("mobilenet_v2", 3_504_872 - 1_281_000),
    ],
)
def test_networks_are_those_of_their_papers(name, expected):
    assert parameters(build_backbone(name, pretrained=False).module) == expected


def test_names_of_weights_are_those_of_runs_before():
    """A run keeps its weights under these names; another layout could not load it."""
    names = set(build_backbone("resnet18", pretrained=False).module.state_dict())
    assert {
        "blocks.0.0.weight",
        "blocks.1.first.0.weight",
        "blocks.1.second.1.bias",
        "blocks.3.shortcut.0.weight",
    } <= names


def test_without_timm_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingDependency, match=r'pip install "hashgrain\[timm\]"'):
        build_backbone("timm:resnet50", pretrained=False)


def test_torchvision_of_another_torch_is_told_apart(monkeypatch, tmp_path):
    (tmp_path / "timm.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    with pytest.raises(MissingDependency, match="built for this torch: install both from one place"):
        build_backbone("timm:resnet50", pretrained=False)


@pytest.fixture
def timm() -> types.ModuleType:
    """The real timm, where it and its torchvision can be loaded."""
    try:
        import timm
    except Exception as exc:
        pytest.skip(f"timm cannot be loaded: {exc}")
    return timm


@pytest.mark.parametrize("name", ["timm:mobilenetv3_small_050", "timm:resnet18"])
def test_network_of_timm_becomes_a_backbone(timm, name):
    backbone = build_backbone(name, pretrained=False)
    backbone.module.eval()
    with torch.no_grad():
        assert backbone.module(torch.zeros(2, 3, 64, 64)).shape == (2, backbone.features)


def test_weights_of_timm_come_from_a_file(timm, tmp_path):
    torch.manual_seed(1)
    published = timm.create_model("resnet18")
    torch.save(published.state_dict(), tmp_path / "weights.pth")
    backbone = build_backbone(f"timm:resnet18@{tmp_path / 'weights.pth'}", pretrained=True)
    assert torch.equal(backbone.module.conv1.weight, published.conv1.weight)
    fresh = build_backbone(f"timm:resnet18@{tmp_path / 'gone.pth'}", pretrained=False)  # as a run loads its own
    assert fresh.features == backbone.features
    with pytest.raises(InvalidInput, match="no weights at .*gone.pth"):
        build_backbone(f"timm:resnet18@{tmp_path / 'gone.pth'}", pretrained=True)


def test_network_that_timm_does_not_know(timm):
    with pytest.raises(InvalidInput, match="knows no network 'resnet19'"):
        build_backbone("timm:resnet19", pretrained=False)


def test_weights_that_cannot_be_downloaded_name_the_file_way(timm, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("timm.create_model", _unreachable)
    with pytest.raises(InvalidInput, match="--backbone timm:resnet18@model.safetensors"):
        build_backbone("timm:resnet18", pretrained=True)


def _unreachable(*_: object, **__: object) -> None:
    raise OSError("cannot reach the hub")
