"""Any network of timm (PyTorch Image Models) as a backbone: ``timm:NAME`` or ``timm:NAME@WEIGHTS``.

WEIGHTS is a local file as timm publishes it (model.safetensors, or a .bin or .pth with the same names), for machines
that cannot reach the Hugging Face hub, where timm downloads weights from otherwise. timm needs torchvision, though not
its compiled operators.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from hashgrain.codes.errors import InvalidInput, MissingDependency

PREFIX = "timm:"


def load_timm(name: str, pretrained: bool) -> tuple[nn.Module, dict[str, Any]]:
    """A network of timm without its classifier, and what timm knows of it.

    Args:
        name: with the prefix.
        pretrained: with published weights, from the file that the name gives or from the hub.

    Returns:
        The module, float (B, 3, S, S) → float (B, features), and a dictionary of ``features``, ``mean``, ``std`` and
        ``input_size``.

    Raises:
        MissingDependency: timm is not installed, or cannot be loaded.
        InvalidInput: timm knows no such network, there is no such file, or the weights are not to be had.
    """
    timm = _import_timm()
    model, _, weights = name.removeprefix(PREFIX).partition("@")
    if not timm.is_model(model):
        similar = ", ".join(timm.list_models(f"*{model}*")[:5]) or "see timm.list_models()"
        raise InvalidInput(f"timm {timm.__version__} knows no network {model!r}; similar: {similar}")
    settings: dict[str, Any] = {"num_classes": 0, "pretrained": pretrained}
    if pretrained and weights:
        if not Path(weights).is_file():
            raise InvalidInput(f"no weights at {weights}; give the file of {model} that timm publishes")
        settings["pretrained_cfg_overlay"] = {"file": weights}
    try:
        network: nn.Module = timm.create_model(model, **settings)
    except Exception as exc:  # the hub's client raises many kinds
        if not pretrained:
            raise
        raise InvalidInput(
            f"the weights of {model} cannot be had ({type(exc).__name__}: {str(exc)[:200]}); "
            f"download them elsewhere and name the file, --backbone {PREFIX}{model}@model.safetensors, or train "
            "--from-scratch"
        ) from exc
    known = network.pretrained_cfg
    assert isinstance(known, dict)
    return network, {
        "features": getattr(network, "head_hidden_size", network.num_features),  # some end in one more layer
        "mean": tuple(known["mean"]),
        "std": tuple(known["std"]),
        "input_size": known["input_size"][-1],
    }


def _import_timm() -> ModuleType:
    try:
        import timm
    except ModuleNotFoundError as exc:
        raise MissingDependency(
            f'{exc.name} is not installed, which timm networks need; install it with: pip install "hashgrain[timm]"'
        ) from exc
    except Exception as exc:  # torchvision fails with a RuntimeError where it was built for another torch
        raise MissingDependency(
            f"timm cannot be loaded ({exc}); it needs the torchvision that was built for this torch: install both from "
            "one place, such as pip install torch torchvision --index-url https://download.pytorch.org/whl/cpu"
        ) from exc
    module: ModuleType = timm
    return module
