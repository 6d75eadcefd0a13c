"""From labelled pictures to a served model: data, network, losses, training, evaluation, ONNX, Triton config.

Import the module you need (`hashgrain.export.train`, `hashgrain.export.graph`, ...): torch loads only with it.
"""
