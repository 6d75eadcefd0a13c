"""The folder of one training run."""

from __future__ import annotations

import dataclasses
import json
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hashgrain.codes.errors import TrainingError
from hashgrain.export.checkpoint import load_checkpoint, save_checkpoint
from hashgrain.export.dataset import LabelledImages
from hashgrain.export.network import HashNetwork, build_network
from hashgrain.export.settings import TrainSettings


@dataclass(frozen=True)
class RunFolder:
    """settings.json, log.jsonl, checkpoint.pt while the run goes on, network.pt and summary.json once it has ended.

    learned_hierarchy.json where the data had labels at one level and their groups were learned: then it is the run's
    hierarchy, wherever the folder is moved to.
    """

    path: Path

    @classmethod
    def create(cls, path: Path) -> RunFolder:
        """A new run; nothing is written until it begins.

        Raises:
            TrainingError: there is a run already.
        """
        run = cls(path)
        if run.settings_file.exists():
            raise TrainingError(f"{path} holds a run already; go on with --resume, or choose another folder")
        return run

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Take up a run that was started before.

        Raises:
            TrainingError: there is none.
        """
        run = cls(path)
        if not run.settings_file.exists():
            raise TrainingError(f"{path} holds no run; start one without --resume")
        return run

    @property
    def settings_file(self) -> Path:
        """The run's settings."""
        return self.path / "settings.json"

    @property
    def checkpoint(self) -> Path:
        """Where the run can go on from."""
        return self.path / "checkpoint.pt"

    @property
    def network_file(self) -> Path:
        """The trained network."""
        return self.path / "network.pt"

    @property
    def learned_hierarchy(self) -> Path:
        """The groups that the classes were put into, where the data had none."""
        return self.path / "learned_hierarchy.json"

    def begin(self, settings: TrainSettings, learned: dict[str, list[str]] | None = None) -> None:
        """Write the settings, and learned groups, once data and network are known to be there.

        The learned groups of a run that this one goes on from are copied.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        if learned is not None:
            self.learned_hierarchy.write_text(json.dumps(learned, indent=2) + "\n")
        elif settings.hierarchy is not None and Path(settings.hierarchy).name == self.learned_hierarchy.name:
            if Path(settings.hierarchy) != self.learned_hierarchy:
                shutil.copy(settings.hierarchy, self.learned_hierarchy)
            settings = dataclasses.replace(settings, hierarchy=None)
        settings.write(self.settings_file)

    def settings(self) -> TrainSettings:
        """Read the settings back."""
        settings = TrainSettings.read(self.settings_file)
        if self.learned_hierarchy.exists():
            return dataclasses.replace(settings, hierarchy=str(self.learned_hierarchy))
        return settings

    def log(self, record: dict[str, object]) -> None:
        """Add one line to log.jsonl; a line of the same epoch, from before a kill, is replaced."""
        path = self.path / "log.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        kept = [line for line in lines if json.loads(line)["epoch"] != record["epoch"]]
        path.write_text("".join(f"{line}\n" for line in [*kept, json.dumps(record)]))

    def finish(self, network: HashNetwork, data: LabelledImages, seconds: float, device: torch.device) -> None:
        """Write the trained network and the summary, then drop the checkpoint."""
        save_checkpoint(
            self.network_file,
            {
                "network": network.state_dict(),
                "fine_names": list(data.fine_names),
                "coarse_names": list(data.coarse_names),
            },
        )
        summary = {
            "settings": dataclasses.asdict(self.settings()),
            "data": data.source,
            "pictures": len(data),
            "training_seconds": round(seconds, 1),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        }
        (self.path / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
        self.checkpoint.unlink(missing_ok=True)

    def load_network(self) -> tuple[HashNetwork, tuple[str, ...], tuple[str, ...]]:
        """The trained network in evaluation mode, with the names of classes and superclasses.

        Raises:
            TrainingError: the run has not ended.
        """
        state: dict[str, Any] = load_checkpoint(self.network_file)
        settings = dataclasses.replace(self.settings(), pretrained=False)  # the weights come from the run
        network = build_network(settings)
        network.load_state_dict(state["network"])
        return network.eval(), tuple(state["fine_names"]), tuple(state["coarse_names"])
