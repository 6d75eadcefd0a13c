"""FP16: a graph's body in half precision, weights and arithmetic alike; for GPUs, which compute it faster.

Not by `onnxruntime.transformers.float16` or onnxconverter-common: both round every tensor between the nodes that are to
stay in single precision, too, pixels and logits among them. Here float16 begins and ends where the body does.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hashgrain.codes.errors import InvalidInput
from hashgrain.export.float_graph import body


def to_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with its body in float16.

    Args:
        model: as `float_graph.plain_float` makes it.

    Raises:
        InvalidInput: there is no body, or a weight is beyond float16.
    """
    inside = body(model)
    converted = onnx.ModelProto()
    converted.CopyFrom(model)
    graph = converted.graph
    floats = _float_tensors(graph)
    made = {name for node in graph.node if node.name in inside for name in node.output} & floats
    taken = {name for node in graph.node if node.name in inside for name in node.input} & floats
    left = {name for node in graph.node if node.name not in inside for name in node.input}
    left |= {value.name for value in graph.output}
    weights = {weight.name: weight for weight in graph.initializer}

    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.name in inside:
            node.input[:] = [_half(name) if name in floats else name for name in node.input]
            outputs = list(node.output)
            node.output[:] = [_half(name) if name in floats else name for name in outputs]
            nodes.append(node)
            nodes += [_cast(_half(name), name, TensorProto.FLOAT) for name in outputs if name in made & left]
        else:
            nodes.append(node)
            nodes += [_cast(name, _half(name), TensorProto.FLOAT16) for name in node.output if name in taken]
    halves = [_half_weight(weights[name]) for name in sorted(taken & set(weights))]
    kept = [weight for weight in graph.initializer if weight.name in left or weight.name not in taken]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*kept, *halves])
    return converted


def _float_tensors(graph: onnx.GraphProto) -> set[str]:
    """Names of all float32 tensors; `plain_float` has inferred their types."""
    values = [*graph.value_info, *graph.input, *graph.output]
    return {value.name for value in values if value.type.tensor_type.elem_type == TensorProto.FLOAT} | {
        weight.name for weight in graph.initializer if weight.data_type == TensorProto.FLOAT
    }


def _half(name: str) -> str:
    return f"{name}_half"


def _cast(name: str, to_name: str, to: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [name], [to_name], name=f"{to_name}_cast", to=to)


def _half_weight(weight: onnx.TensorProto) -> onnx.TensorProto:
    values = numpy_helper.to_array(weight)
    if np.abs(values).max(initial=0) > np.finfo(np.float16).max:
        raise InvalidInput(
            f"{weight.name} holds {np.abs(values).max():g}, beyond float16's 65,504; leave the model in fp32"
        )
    return numpy_helper.from_array(values.astype(np.float16), _half(weight.name))
