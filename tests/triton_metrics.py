"""Triton's metrics as a node with GPUs gives them, for tests on machines that have none."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FIRST, SECOND = "GPU-5f1a4e0c-6c2b-0c1e-9d0b-7a1f0e9b3c11", "GPU-c3e0b7d2-1d6f-5b7a-8f43-2e6d9c0a4b22"


def metrics(*joules: str) -> str:
    """What Triton writes on a node with so many GPUs, cut down to a few of its metrics."""
    counters = "".join(
        f'nv_energy_consumption{{gpu_uuid="{gpu}"}} {value}\n'
        for gpu, value in zip((FIRST, SECOND), joules, strict=False)
    )
    return (
        "# HELP nv_inference_count Number of inferences performed (does not include cached requests)\n"
        "# TYPE nv_inference_count counter\n"
        'nv_inference_count{model="hash_encoder",version="1"} 4096\n'
        "# HELP nv_gpu_power_usage GPU power usage in watts\n"
        "# TYPE nv_gpu_power_usage gauge\n"
        f'nv_gpu_power_usage{{gpu_uuid="{FIRST}"}} 71.512\n'
        "# HELP nv_energy_consumption GPU energy consumption in joules since the Triton Server started\n"
        f"# TYPE nv_energy_consumption counter\n{counters}"
    )


@contextmanager
def serving(texts: list[str]) -> Iterator[str]:
    """An address that gives one text after the other, each once."""
    left = list(texts)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = left.pop(0).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
