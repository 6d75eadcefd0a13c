"""Models that are measured beside those that come with hashgrain.

`hand_on`, in Triton's Python, only hands a picture on to hash_encoder: the least that such a model can add.
`late_search` is pixel_search over an image_search whose answers may be a little late.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

HAND_ON = "hand_on"
LATE, LATE_SEARCH = "late_image_search", "late_search"
LATE_S = 1

_MODEL = """
import numpy as np
import triton_python_backend_utils as pb_utils

CODES = ["coarse_code", "fine_code"]


class TritonPythonModel:
    def execute(self, requests):
        return [self._handed_on(request) for request in requests]

    def _handed_on(self, request):
        image = pb_utils.Tensor("image", pb_utils.get_input_tensor_by_name(request, "image").as_numpy())
        answer = pb_utils.InferenceRequest(
            model_name="hash_encoder",
            requested_output_names=CODES,
            inputs=[image],
            preferred_memory=pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU, 0),
        ).exec()
        found = [np.array(pb_utils.get_output_tensor_by_name(answer, name).as_numpy()) for name in CODES]
        return pb_utils.InferenceResponse([pb_utils.Tensor(*pair) for pair in zip(CODES, found)])
"""


def write_repository(source: Path, folder: Path) -> Path:
    """The models of `source` and these, in `folder`, which must not be there yet."""
    shutil.copytree(source, folder)
    _write_hand_on(folder)
    _write_late(folder)
    return folder


def _write_hand_on(folder: Path) -> None:
    encoder = (folder / "hash_encoder" / "config.pbtxt").read_text()
    tensors = "".join(re.findall(r"^(?:input|output) \[\n.*?^\]\n", encoder, re.M | re.S))
    (folder / HAND_ON / "1").mkdir(parents=True)
    (folder / HAND_ON / "1" / "model.py").write_text(_MODEL)
    (folder / HAND_ON / "config.pbtxt").write_text(
        f'name: "{HAND_ON}"\nbackend: "python"\nmax_batch_size: 16\n{tensors}'
        "instance_group [ { count: 2 kind: KIND_CPU } ]\ndynamic_batching { max_queue_delay_microseconds: 0 }\n"
    )


def _write_late(folder: Path) -> None:
    for name, copied in (("image_search", LATE), ("pixel_search", LATE_SEARCH)):
        shutil.copytree(folder / name, folder / copied)
        config = folder / copied / "config.pbtxt"
        text = config.read_text().replace(f'name: "{name}"', f'name: "{copied}"')
        text = text.replace('model_name: "image_search"', f'model_name: "{LATE}"')
        config.write_text(re.sub(r'(?<="max_staleness_s" value: \{ string_value: ")\d+', str(LATE_S), text))
