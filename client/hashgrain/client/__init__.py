"""From pictures to hash codes: through a Triton server, or in process with ONNX Runtime.

Import bulk encoding from its own modules: `hashgrain.client.bulk`, `.sources`, `.sinks` and `.codes_file` (they need
pyarrow only where a Parquet file is read or written).
"""

from hashgrain.client.async_encoder import AsyncHashEncoder
from hashgrain.client.encoded import Encoded, Logits
from hashgrain.client.encoder import HashEncoder
from hashgrain.client.images import ImageLike
from hashgrain.client.timeouts import Timeouts
from hashgrain.client.transport import Served, Transport

__all__ = ["AsyncHashEncoder", "Encoded", "HashEncoder", "ImageLike", "Logits", "Served", "Timeouts", "Transport"]
