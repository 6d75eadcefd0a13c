"""Triton's `onnxruntime` backend for the embedded server: ONNX Runtime on the CPU, as a python-based backend.

Triton runs this file for every model whose config.pbtxt says `backend: "onnxruntime"`, in the embedded server's own
environment (NumPy 1.26), so the same model folder serves here and on the native backend of NVIDIA's image. The
config's settings for CUDA and TensorRT mean nothing here and are left alone.

The instances of a model share the cores among them; of three or more, one is for requests that come while the others
are at work. Requests that Triton hands over together run as one batch, a large one in parts that go to an instance's
cores (`hashgrain.codes.cpu_session`). A request that the model cannot take is answered with an error of its own; the
others of its batch, and the server, go on.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from hashgrain.codes.cpu_session import CpuSession, share_of_cores

Feed = dict[str, NDArray[Any]]


class TritonPythonModel:
    """One instance of one model; Triton calls `initialize` once and `execute` for every batch of requests."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load `<model>/<version>/model.onnx`, or the file that the config names.

        Raises:
            TritonModelException: there is no such file, or it has not the tensors that the config names.
        """
        config = json.loads(args["model_config"])
        filename = config.get("default_model_filename") or "model.onnx"
        path = (Path(args["model_repository"]) / args["model_version"] / filename).resolve()
        if not path.is_file():
            raise pb_utils.TritonModelException(f"{path} is missing; write it with `hashgrain export`")
        instances = sum(group["count"] for group in config["instance_group"])
        session = CpuSession(str(path), share_of_cores(max(instances - 1, min(instances, 2))))
        self.inputs = [tensor["name"] for tensor in config["input"]]
        self.outputs = [tensor["name"] for tensor in config["output"]]
        self.batched = config.get("max_batch_size", 0) > 0
        self.run = session.run if self.batched else session.whole.run
        for kind, wanted, found in (
            ("input", self.inputs, session.whole.get_inputs()),
            ("output", self.outputs, session.whole.get_outputs()),
        ):
            missing = sorted(set(wanted) - {tensor.name for tensor in found})
            if missing:
                raise pb_utils.TritonModelException(
                    f"config.pbtxt names {kind} {', '.join(missing)}, {path} has only "
                    f"{', '.join(tensor.name for tensor in found)}; export both again with `hashgrain export`"
                )

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer every request, in order."""
        feeds = [self._feed(request) for request in requests]
        wanted = [[name for name in self.outputs if name in request.requested_output_names()] for request in requests]
        if self.batched and len(requests) > 1 and _alike(feeds):
            try:
                return self._run_together(feeds, wanted)
            except Exception:  # one request may have spoilt it: find out which
                pass
        return [self._run_alone(feed, names) for feed, names in zip(feeds, wanted, strict=True)]

    def _feed(self, request: Any) -> Feed:
        return {name: pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in self.inputs}

    def _run_together(self, feeds: list[Feed], wanted: list[list[str]]) -> list[Any]:
        batch = {name: np.concatenate([feed[name] for feed in feeds]) for name in self.inputs}
        names = [name for name in self.outputs if any(name in asked for asked in wanted)]
        results = dict(zip(names, self.run(names, batch), strict=True))
        bounds = np.cumsum([0] + [len(feed[self.inputs[0]]) for feed in feeds])
        return [
            _respond({name: results[name][start:stop] for name in asked})
            for asked, start, stop in zip(wanted, bounds[:-1], bounds[1:], strict=True)
        ]

    def _run_alone(self, feed: Feed, names: list[str]) -> Any:
        try:
            return _respond(dict(zip(names, self.run(names, feed), strict=True)))
        except InvalidArgument as error:  # a batch of 0, which Triton lets through as a picture without a batch
            return _refuse(error, pb_utils.TritonError.INVALID_ARG)
        except Exception as error:  # whatever it is, it is this request's answer and not the server's end
            return _refuse(error, pb_utils.TritonError.INTERNAL)


def _alike(feeds: list[Feed]) -> bool:
    """Whether the requests differ in their first dimension only, so that they can be joined."""
    kinds = {tuple((array.dtype.str, array.shape[1:]) for array in feed.values()) for feed in feeds}
    rows = all(len({len(array) for array in feed.values()}) == 1 for feed in feeds)
    return len(kinds) == 1 and rows


def _respond(outputs: Feed) -> Any:
    return pb_utils.InferenceResponse(
        [pb_utils.Tensor(name, np.ascontiguousarray(array)) for name, array in outputs.items()]
    )


def _refuse(error: Exception, status: Any) -> Any:
    return pb_utils.InferenceResponse([], error=pb_utils.TritonError(f"{type(error).__name__}: {error}", status))
