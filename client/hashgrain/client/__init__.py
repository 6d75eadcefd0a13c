"""From pictures to hash codes: through a Triton server, or in process with ONNX Runtime.

Its folders stand upon each other: `wire`, `sources`, `encoding`, `sinks`, `bulk`. Import bulk encoding from its own
modules: `bulk.job`, `sources.open_source`, `sinks.sink` and `sinks.codes_file` (they need pyarrow only where a Parquet
file is read or written).
"""

from hashgrain.client.encoding.async_encoder import AsyncHashEncoder
from hashgrain.client.encoding.encoded import Encoded, Logits
from hashgrain.client.encoding.encoder import HashEncoder
from hashgrain.client.sources.images import ImageLike
from hashgrain.client.wire.timeouts import Timeouts
from hashgrain.client.wire.transport import Served, Transport

__all__ = ["AsyncHashEncoder", "Encoded", "HashEncoder", "ImageLike", "Logits", "Served", "Timeouts", "Transport"]
