"""A model repository whose hash_encoder takes its time as a GPU does: so long for a batch, whatever the processors do.

On a machine without a GPU, server and clients compete for the processors, and every number of requests under way looks
like every other. This model answers with zeros after 10 ms and 0.1 ms for each image, which is small so that sending it
costs little; all else is a real Triton. It has two instances, as on a GPU, and since Triton 2.51 loses wake-ups of an
instance that is alone behind a queue policy, and then looks only every half second (triton-inference-server/core#509).
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

SIZE = 16
"""Side of its pictures in pixels."""

_MODEL = '''
import time
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    """Sleeps once for all the requests that Triton hands over together."""
    def execute(self, requests):
        rows = [pb_utils.get_input_tensor_by_name(request, "image").shape()[0] for request in requests]
        time.sleep(0.01 + 0.0001 * sum(rows))
        return [pb_utils.InferenceResponse([
            pb_utils.Tensor("coarse_code", np.zeros((n, WIDTHS[0]), np.uint8)),
            pb_utils.Tensor("fine_code", np.zeros((n, WIDTHS[1]), np.uint8))]) for n in rows]
'''


def write_timed_repository(source: Path, folder: Path, coarse_bytes: int, fine_bytes: int) -> None:
    """Write it to `folder`, with the configuration that the repository `source` has."""
    model = folder / "hash_encoder"
    shutil.copytree(source / "hash_encoder", model)
    config = (model / "config.pbtxt").read_text().replace('backend: "onnxruntime"', 'backend: "python"')
    config = re.sub(r"instance_group .*", "instance_group [ { count: 2 kind: KIND_CPU } ]", config)
    config = re.sub(r"dims: \[ \d+, \d+, 3 \]", f"dims: [ {SIZE}, {SIZE}, 3 ]", config)
    config = re.sub(r'(hashgrain.input_size" value: { string_value: )"\d+"', rf'\1"{SIZE}"', config)
    (model / "config.pbtxt").write_text(config)
    (model / "1" / "model.py").write_text(f"WIDTHS = ({coarse_bytes}, {fine_bytes})\n{_MODEL}")
