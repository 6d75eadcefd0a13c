"""What can be wrong with a request whatever its encoding: its tensors, outputs, version, parameters and pictures."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from malformed.pictures import Verdict, picture, whole
from malformed.right import Request, Tensor

MOST = {"hash_encoder": 128, "image_search": 32, "pixel_search": 1}
"""The largest batch of each model."""

DATATYPES = ("BOOL", "UINT16", "UINT64", "INT8", "INT64", "FP16", "FP32", "FP64", "BF16")
ODD_NAMES = ("", "IMAGE", "image ", "../image", "é☃𝄞", "x" * 5_000, "coarse_code")
ODD_NUMBERS = (0, -1, -(2**31), -(2**63), 2**31 - 1, 2**31, 2**63 - 1)
ODD_VALUES: tuple[Any, ...] = (*ODD_NUMBERS, True, False, 0.5, 1e308, -1e-308, "", "5", "é☃𝄞\0", "x" * 10_000)

Changed = tuple[str, Request, Verdict]
Change = Callable[[Request, np.random.Generator], Changed]


def pick(values: tuple[Any, ...], rng: np.random.Generator) -> Any:
    return values[int(rng.integers(len(values)))]


def _first(request: Request, **changes: Any) -> Request:
    return replace(request, tensors=(replace(request.tensors[0], **changes), *request.tensors[1:]))


def _no_tensor(request: Request, rng: np.random.Generator) -> Changed:
    return "no tensor", replace(request, tensors=()), "refused"


def _twice(request: Request, rng: np.random.Generator) -> Changed:
    return "the same tensor twice", replace(request, tensors=request.tensors * 2), "refused"


def _further_tensor(request: Request, rng: np.random.Generator) -> Changed:
    further = Tensor("further", "UINT8", request.tensors[0].shape[:1], [0] * request.tensors[0].shape[0])
    return "an unknown tensor beside it", replace(request, tensors=(*request.tensors, further)), "refused"


def _name(request: Request, rng: np.random.Generator) -> Changed:
    name = pick(ODD_NAMES, rng)
    return f"tensor {name[:20]!r}", _first(request, name=name), "refused"


def _datatype(request: Request, rng: np.random.Generator) -> Changed:
    datatype = pick((*DATATYPES, "", "uint8", "STRING", "FP8", "☃"), rng)
    return f"datatype {datatype!r}", _first(request, datatype=datatype), "refused"


def _other_datatype(request: Request, rng: np.random.Generator) -> Changed:
    other = "UINT8" if request.tensors[0].datatype == "BYTES" else "BYTES"
    return f"datatype {other}", _first(request, datatype=other), "refused"


def _shape(request: Request, rng: np.random.Generator) -> Changed:
    shape = list(request.tensors[0].shape)
    shape[int(rng.integers(len(shape)))] = pick((*ODD_NUMBERS, 4, 7), rng)
    return f"shape {shape}", _first(request, shape=tuple(shape)), "refused"


def _rank(request: Request, rng: np.random.Generator) -> Changed:
    shape = request.tensors[0].shape
    other = pick((shape[1:], (*shape, 1), (1, *shape), (), (math.prod(shape),)), rng)
    return f"shape {list(other)}", _first(request, shape=other), "refused"


def _overflow(request: Request, rng: np.random.Generator) -> Changed:
    """The product of these wraps to what a 64-bit number holds."""
    shape = pick(((2**32, 2**32, 1, 3), (2**62, 2, 2, 3), (2**16, 2**16, 2**16, 2**16), (2**63 - 1,) * 4), rng)
    return f"shape {list(shape)}", _first(request, shape=shape[: len(request.tensors[0].shape)]), "refused"


def _amount(request: Request, rng: np.random.Generator) -> Changed:
    elements = request.tensors[0].elements
    count = pick((0, len(elements) - 1, len(elements) + 1, 2 * len(elements)), rng)
    return f"{count} elements for {len(elements)}", _first(request, elements=(elements * 2)[:count]), "refused"


def _batch(request: Request, rng: np.random.Generator) -> Changed:
    batch, tensor = pick((0, MOST[request.model] + 1), rng), request.tensors[0]
    row = tensor.elements[: len(tensor.elements) // tensor.shape[0]]
    return f"a batch of {batch}", _first(request, shape=(batch, *tensor.shape[1:]), elements=row * batch), "refused"


def _output(request: Request, rng: np.random.Generator) -> Changed:
    name = pick(("", "IDS", "image", "☃", "y" * 5_000), rng)
    return f"output {name[:20]!r}", replace(request, outputs=(name,)), "refused"


def _model(request: Request, rng: np.random.Generator) -> Changed:
    name = pick(("hash_encoder_", "HASH_ENCODER", "hash%20encoder", "..", "m" * 500), rng)
    return f"model {name[:20]!r}", replace(request, model=name), "refused"


def _version(request: Request, rng: np.random.Generator) -> Changed:
    version = pick(("0", "2", "-1", "x", "9" * 30), rng)
    return f"version {version!r}", replace(request, version=version), "refused"


CHANGES: tuple[Change, ...] = (
    _no_tensor, _twice, _further_tensor, _name, _datatype, _other_datatype, _shape, _rank, _overflow, _amount, _batch,
    _output, _model, _version,
)  # fmt: skip


# What only models that search can be asked wrongly.

KNOWN = ("k", "rank", "candidates", "probes", "radius", "within", "exact", "refine", "deadline", "index")


WRONG_PARAMETERS: tuple[Any, ...] = (
    ("k", 0), ("k", -5), ("k", 1001), ("k", 2**63 - 1), ("k", "5"), ("k", 5.0), ("k", True), ("rank", "nearest"),
    ("candidates", 0), ("probes", -1), ("radius", -1), ("radius", 0.5), ("within", "3"), ("exact", 1), ("refine", 4),
    ("deadline", 0), ("deadline", -2.5), ("deadline", "soon"), ("index", "a b"), ("index", ""), ("index", 7),
    ("index", "nowhere"), ("index", "*"), ("index", "i" * 10_000), ("filter", "price < 9"), ("", 1),
)  # fmt: skip


def _parameter(request: Request, rng: np.random.Generator) -> Changed:
    """Some are in order, as `radius` 0; the others say so. NaN and infinity have no JSON, see `_double`."""
    name, value = str(rng.choice(KNOWN)), pick(ODD_VALUES, rng)
    parameters = {**request.parameters, name: value}
    return f"{name} = {str(value)[:20]!r}", replace(request, parameters=parameters), "either"


def _wrong_parameter(request: Request, rng: np.random.Generator) -> Changed:
    name, value = pick(WRONG_PARAMETERS, rng)
    parameters = {**request.parameters, name: value}
    return f"{name} = {str(value)[:20]!r}", replace(request, parameters=parameters), "refused"


def _contradiction(request: Request, rng: np.random.Generator) -> Changed:
    pair = {"radius": 3, "candidates": 9, "probes": 2, "within": 5}
    names = rng.choice(list(pair), 2, replace=False).tolist()
    parameters = {**request.parameters, **{name: pair[name] for name in names}}
    return " and ".join(names), replace(request, parameters=parameters), "refused"


def _both_inputs(request: Request, rng: np.random.Generator) -> Changed:
    tensors = (Tensor("image", "UINT8", (1, 1, 1, 3), [0] * 3), Tensor("image_bytes", "BYTES", (1, 1), [whole("PNG")]))
    return "both inputs", replace(request, tensors=tensors), "refused"


def _half(request: Request, rng: np.random.Generator) -> Changed:
    """One of two codes, or codes beside a picture."""
    codes = [Tensor("coarse_code", "UINT8", (1, 2), [0] * 2), Tensor("fine_code", "UINT8", (1, 8), [0] * 8)]
    code, more = pick(tuple(codes), rng), [Tensor("image", "UINT8", (1, 1, 1, 3), [0] * 3)]
    return f"{code.name} alone", replace(request, tensors=(code, *more[: int(rng.integers(2))])), "refused"


def _width(request: Request, rng: np.random.Generator) -> Changed:
    """Codes of another length."""
    coarse, fine = pick(((1, 8), (3, 8), (2, 7), (2, 9), (8, 2), (2, 1000)), rng)
    codes = (
        Tensor("coarse_code", "UINT8", (1, coarse), [0] * coarse),
        Tensor("fine_code", "UINT8", (1, fine), [0] * fine),
    )
    return f"codes of {coarse} and {fine} bytes", replace(request, tensors=codes), "refused"


def _picture(request: Request, rng: np.random.Generator) -> Changed:
    found = picture(rng)
    tensor = Tensor("image_bytes", "BYTES", (1, 1), [found.content])
    return found.what, replace(request, tensors=(tensor,)), found.verdict


def _among_others(request: Request, rng: np.random.Generator) -> Changed:
    """A picture that cannot be read between two that can."""
    tensor = Tensor("image_bytes", "BYTES", (3, 1), [whole("PNG"), rng.bytes(50), whole("JPEG")])
    return "no picture between two", replace(request, tensors=(tensor,)), "refused"


PARAMETER_CHANGES: tuple[Change, ...] = (
    *CHANGES, _wrong_parameter, _wrong_parameter, _parameter, _parameter, _contradiction,
)  # fmt: skip

CHANGES_OF: dict[str, tuple[Change, ...]] = {
    "hash_encoder": CHANGES,
    "pixel_search": PARAMETER_CHANGES,
    "image_search": (*PARAMETER_CHANGES, _both_inputs, _half, _width, _among_others, *[_picture] * 8),
}
