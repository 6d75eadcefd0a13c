"""The way to Triton: addresses, protocols, retries and errors; and the same in process."""
