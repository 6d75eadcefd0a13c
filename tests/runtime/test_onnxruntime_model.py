"""The embedded Triton's `onnxruntime` backend answers as ONNX Runtime does, whatever is asked of it."""

from __future__ import annotations

import threading

import numpy as np
import onnxruntime
import pytest
import tritonclient.grpc as triton_grpc
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from embedded_servers import EmbeddedServers
from hashgrain.codes.contract import COARSE_CODE, COARSE_LOGITS, ENCODER_MODEL, FINE_CODE, FINE_LOGITS, IMAGE

OUTPUTS = [COARSE_CODE, FINE_CODE, COARSE_LOGITS, FINE_LOGITS]


@pytest.fixture
def client(triton: EmbeddedServers) -> triton_grpc.InferenceServerClient:
    return triton_grpc.InferenceServerClient(triton.grpc.removeprefix("grpc://"))


@pytest.fixture(scope="module")
def reference(triton: EmbeddedServers) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(triton.repository / ENCODER_MODEL / "1" / "model.onnx")


def pictures(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), np.uint8)


def infer(
    client: triton_grpc.InferenceServerClient, images: NDArray[np.uint8], outputs: list[str] | None = None
) -> triton_grpc.InferResult:
    tensor = triton_grpc.InferInput(IMAGE, list(images.shape), "UINT8")
    tensor.set_data_from_numpy(images)
    asked = None if outputs is None else [triton_grpc.InferRequestedOutput(name) for name in outputs]
    return client.infer(ENCODER_MODEL, [tensor], outputs=asked, client_timeout=30)


@pytest.mark.parametrize("count", [1, 2, 7, 128])
def test_answers_equal_onnxruntime(
    client: triton_grpc.InferenceServerClient, reference: onnxruntime.InferenceSession, count: int
) -> None:
    """Tensors cross between the processes unharmed, which they do not under NumPy 2."""
    images = pictures(count)
    answer = infer(client, images)
    expected = dict(zip(OUTPUTS, reference.run(OUTPUTS, {IMAGE: images}), strict=True))
    for name in (COARSE_CODE, FINE_CODE):
        np.testing.assert_array_equal(answer.as_numpy(name), expected[name])
    for name in (COARSE_LOGITS, FINE_LOGITS):
        np.testing.assert_allclose(answer.as_numpy(name), expected[name], rtol=1e-4, atol=1e-4)


def test_only_the_outputs_asked_for_come_back(client: triton_grpc.InferenceServerClient) -> None:
    answer = infer(client, pictures(3), [FINE_CODE])
    assert answer.as_numpy(FINE_CODE).shape == (3, 8)
    assert [tensor.name for tensor in answer.get_response().outputs] == [FINE_CODE]


def test_requests_batched_together_get_their_own_rows(
    triton: EmbeddedServers, client: triton_grpc.InferenceServerClient, reference: onnxruntime.InferenceSession
) -> None:
    """Requests of different sizes and outputs, sent at once, until Triton has joined some into one execution."""
    for attempt in range(20):
        before = executions(client)
        batches = [pictures(1 + n % 5, seed=100 * attempt + n) for n in range(16)]
        outputs = [[COARSE_CODE] if n % 2 else [FINE_CODE, COARSE_CODE] for n in range(16)]
        answers = at_once(triton, batches, outputs)
        for images, asked, answer in zip(batches, outputs, answers, strict=True):
            for name, expected in zip(asked, reference.run(asked, {IMAGE: images}), strict=True):
                np.testing.assert_array_equal(answer.as_numpy(name), expected)
        if executions(client) - before < len(batches):
            return
    pytest.fail("Triton never joined requests, so nothing was tested")


def test_a_bad_request_is_refused_and_the_server_goes_on(client: triton_grpc.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="unexpected shape"):
        infer(client, np.zeros((1, 16, 16, 3), np.uint8))
    with pytest.raises(InferenceServerException, match="batch-size must be <= 128"):
        infer(client, pictures(129))
    assert infer(client, pictures(1)).as_numpy(FINE_CODE).shape == (1, 8)


def executions(client: triton_grpc.InferenceServerClient) -> int:
    statistics = client.get_inference_statistics(ENCODER_MODEL)
    return int(statistics.model_stats[0].execution_count)


def at_once(
    triton: EmbeddedServers, batches: list[NDArray[np.uint8]], outputs: list[list[str]]
) -> list[triton_grpc.InferResult]:
    answers: dict[int, triton_grpc.InferResult] = {}
    barrier = threading.Barrier(len(batches))

    def ask(number: int) -> None:
        with triton_grpc.InferenceServerClient(triton.grpc.removeprefix("grpc://")) as own:
            own.is_server_live()
            barrier.wait(30)
            answers[number] = infer(own, batches[number], outputs[number])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(batches))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return [answers[number] for number in range(len(batches))]
