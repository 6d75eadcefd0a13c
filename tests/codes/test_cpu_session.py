"""A model on the cores of a CPU: however a batch is divided, every row is answered as if it were alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from hashgrain.codes.contract import COARSE_CODE, FINE_CODE, FINE_LOGITS, IMAGE
from hashgrain.codes.cores import usable_cores
from hashgrain.codes.cpu_session import ROWS_OF_A_PART, CpuSession, parts_of, share_of_cores
from tiny_model import write_tiny_repository

OUTPUTS = [FINE_CODE, COARSE_CODE, FINE_LOGITS]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder: Path = tmp_path_factory.mktemp("cpu_session")
    write_tiny_repository(folder)
    return str(folder / "hash_encoder/1/model.onnx")


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("rows", [0, 1, 3, 4, 33, 100])
def test_every_row_is_answered_as_by_one_thread(model: str, threads: int, rows: int) -> None:
    images = np.random.default_rng(rows).integers(0, 256, (rows, 32, 32, 3), np.uint8)
    expected = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(OUTPUTS, {IMAGE: images})
    answers = CpuSession(model, threads).run(OUTPUTS, {IMAGE: images})
    assert [answer.dtype for answer in answers] == [tensor.dtype for tensor in expected]
    np.testing.assert_array_equal(answers[0], expected[0])
    np.testing.assert_array_equal(answers[1], expected[1])
    np.testing.assert_allclose(answers[2], expected[2], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("threads", [2, 3, 8])
@pytest.mark.parametrize("rows", [16, 17, 100, 128])
def test_threads_get_as_many_parts_and_nobody_many_rows(threads: int, rows: int) -> None:
    parts = parts_of(rows, threads)
    sizes = [part.stop - part.start for part in parts]
    assert np.concatenate([np.arange(rows)[part] for part in parts]).tolist() == list(range(rows))
    assert len(parts) % threads == 0
    assert max(sizes) <= ROWS_OF_A_PART
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("rows", "threads"), [(0, 4), (1, 2), (3, 2), (7, 4), (500, 1)])
def test_few_rows_are_not_divided(rows: int, threads: int) -> None:
    assert parts_of(rows, threads) == [slice(0, rows)]


def test_an_error_of_one_part_is_the_batchs(model: str) -> None:
    with pytest.raises(Exception, match="Got invalid dimensions"):
        CpuSession(model, 2).run(OUTPUTS, {IMAGE: np.zeros((8, 16, 16, 3), np.uint8)})


def test_sessions_share_the_cores_but_none_goes_without() -> None:
    assert share_of_cores(1) == usable_cores()
    assert share_of_cores(10_000) == share_of_cores(usable_cores()) == 1
