"""From pictures to codes: decoding, requests under way, and the encoders that callers use."""
