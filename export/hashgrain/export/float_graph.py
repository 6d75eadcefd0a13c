"""An exported graph in plain single precision, and which of its nodes may be computed in less.

What must stay exact is the same whatever the precision: the normalisation of pixels, pooling, the hash heads, and the
packing of bits. All of it together is a thousandth of the work, and a rounded logit near zero is a flipped bit.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import onnx

from hashgrain.codes.contract import COARSE_LOGITS, FINE_LOGITS
from hashgrain.codes.errors import InvalidInput

WEIGHTED = ("Conv", "Gemm", "MatMul")
"""Nodes that carry nearly all of the work, where one of their inputs is a weight."""

ACTIVATIONS = ("Relu", "Clip", "HardSwish", "HardSigmoid", "Sigmoid")
"""Nodes that belong to the weighted node before them."""


def plain_float(model: Path) -> onnx.ModelProto:
    """The graph with float32 weights, BatchNorm and 16-bit storage folded away, shapes inferred.

    By `quant_pre_process`, ONNX Runtime's documented step before any quantisation.

    Raises:
        InvalidInput: the graph is quantised already.
    """
    from onnxruntime.quantization.shape_inference import quant_pre_process

    if any(node.op_type == "QuantizeLinear" for node in onnx.load(model, load_external_data=False).graph.node):
        raise InvalidInput(f"{model} is quantised already; convert the model that it was made from")
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.onnx"
        quant_pre_process(model, plain, skip_symbolic_shape=True)
        return onnx.load(plain)


def body(model: onnx.ModelProto, skip: int = 0) -> set[str]:
    """Names of the nodes between normalisation and pooling: those that may lose precision.

    Args:
        model: as `plain_float` makes it.
        skip: leave the first so many weighted nodes out.

    Raises:
        InvalidInput: nothing is left.
    """
    nodes = list(model.graph.node)
    constants = {weight.name for weight in model.graph.initializer}
    outside = _from_heads_on(nodes)
    weighted = [
        position
        for position, node in enumerate(nodes)
        if node.op_type in WEIGHTED and node.name not in outside and constants.intersection(node.input)
    ]
    if len(weighted) <= skip:
        raise InvalidInput(
            f"the network has {len(weighted)} weighted nodes before its heads, and the first {skip} are to stay in "
            "single precision; lower --float-layers, or leave the model in fp32"
        )
    # The activation after the last skipped node must not be quantised without it.
    first, last = weighted[skip], weighted[-1]
    after = {output for node in nodes[first : last + 1] for output in node.output}
    closing = {node.name for node in nodes[last + 1 :] if node.op_type in ACTIVATIONS and after & set(node.input)}
    return ({node.name for node in nodes[first : last + 1]} | closing) - outside


def outside_of(model: onnx.ModelProto, names: Iterable[str]) -> list[str]:
    """The graph's other nodes."""
    inside = set(names)
    return [node.name for node in model.graph.node if node.name not in inside]


def _from_heads_on(nodes: list[onnx.NodeProto]) -> set[str]:
    """The linear map that makes each level's logits, and all that is computed from there."""
    maker = {output: node for node in nodes for output in node.output}
    reached: set[str] = set()
    for logits in (COARSE_LOGITS, FINE_LOGITS):
        name = logits
        while name in maker:  # up to the linear map: BatchNorm may stand between
            node = maker[name]
            reached.update(node.output)
            if node.op_type in WEIGHTED:
                break
            name = node.input[0]
    for node in nodes:  # which stand in the order of computation
        if reached.intersection(node.input):
            reached.update(node.output)
    return {node.name for node in nodes if reached.intersection(node.output)}
