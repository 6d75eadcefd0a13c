"""The profiles on a real Triton without a GPU; `test_versions` serves the profile cpu as it stands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hashgrain.client import HashEncoder
from hashgrain.codes.contract import ENCODER_MODEL
from hashgrain.codes.errors import EmbeddedServerError
from hashgrain.export.serving_profiles import GPU, TENSORRT
from hashgrain.runtime import servers
from pictures import arrays
from tiny_model import write_tiny_repository


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[servers.StartSettings]:
    settings = servers.StartSettings(home=tmp_path / "home", model_repository=tmp_path / "models")
    yield settings
    servers.stop(settings.home)


def test_triton_reads_all_that_the_tensorrt_profile_says(folders: servers.StartSettings) -> None:
    """On the CPU, since there is no GPU: queues, warm-up, accelerator and parameters pass Triton's own reading."""
    assert folders.model_repository is not None
    contract = write_tiny_repository(folders.model_repository, settings=TENSORRT)
    config = folders.model_repository / ENCODER_MODEL / "config.pbtxt"
    assert "KIND_GPU }" in config.read_text()
    config.write_text(config.read_text().replace("KIND_GPU }", "KIND_CPU }"))
    with HashEncoder(servers.start(folders).triton_address) as encoder:
        assert encoder.fingerprint == contract.fingerprint
        assert len(encoder.encode(arrays(3))) == 3


def test_the_gpu_profile_does_not_run_on_the_cpu_unnoticed(folders: servers.StartSettings) -> None:
    assert folders.model_repository is not None
    write_tiny_repository(folders.model_repository, settings=GPU)
    with pytest.raises(EmbeddedServerError, match="KIND_GPU"):
        servers.start(folders)
