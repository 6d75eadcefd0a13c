"""Checkpoints: written whole or not at all, read without running code from the file."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from hashgrain.codes.errors import TrainingError


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write beside the old checkpoint, then take its place: a kill at any moment leaves one that can be read."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint.

    Raises:
        TrainingError: the file is missing, cut short or of another kind.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as exc:
        raise TrainingError(
            f"there is no {path}; has the run ended? `hashgrain train --resume` goes on with it"
        ) from exc
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as exc:
        raise TrainingError(f"cannot read {path}: {exc}; remove it to start the run again") from exc
    return state
