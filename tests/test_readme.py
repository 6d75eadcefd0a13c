"""The README's commands, run as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from command import environment
from hashgrain.cli.main import COMMANDS
from hashgrain.demo.drawn import drawn_collection

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def blocks(*headings: str) -> list[tuple[str, str]]:
    """Language and text of every code block below the headings."""
    found = []
    for section in re.split(r"^## ", README, flags=re.MULTILINE):
        if section.startswith(headings):
            found += re.findall(r"```(sh|python)\n(.*?)```", section, flags=re.DOTALL)
    return found


def script(*headings: str) -> str:
    """The blocks as one shell script."""
    parts = [
        text if language == "sh" else f"python3 - <<'PYTHON'\n{text}PYTHON\n" for language, text in blocks(*headings)
    ]
    return "set -euo pipefail\n" + "\n".join(parts)


def write_pictures(folder: Path, names: list[str], size: int, seed: int) -> None:
    for name, picture in zip(names, drawn_collection(len(names), size, seed).images, strict=True):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path, quality=95)


def run(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    variables = environment(HASHGRAIN_HOME=folder / "home")
    variables["PATH"] = f"{Path(sys.executable).parent}:{variables['PATH']}"
    return subprocess.run(["bash", "-c", text], cwd=folder, env=variables, capture_output=True, text=True, timeout=540)


@pytest.mark.slow
def test_tour_runs_from_top_to_bottom(tmp_path: Path) -> None:
    write_pictures(tmp_path / "photos", [f"{kind}/{n}.jpg" for kind in ("cats", "dogs") for n in range(20)], 96, seed=1)
    (tmp_path / "photos" / "notes.jpg").write_text("not a picture")
    write_pictures(tmp_path, ["query.jpg"], 96, seed=2)
    try:
        told = run(script("A tour"), tmp_path)
    finally:
        run("hashgrain down", tmp_path)
    assert told.returncode == 0, f"{told.stdout}\n{told.stderr}"
    assert "notes.jpg" in told.stderr  # named, and fatal to nothing
    whole_runs = re.findall(r"encoded 40 images into the index photos\b(?!@)", told.stdout)
    assert "unchanged since an earlier run" in told.stdout or len(whole_runs) == 2
    assert "* photos@1  live, 40 items" in told.stdout
    assert "1 that cannot be read" in (tmp_path / "encoded.html").read_text()
    assert '"name":"ids"' in told.stdout.replace(" ", "")  # the answer of image_search


@pytest.mark.slow
def test_own_model_is_trained_exported_and_evaluated(tmp_path: Path) -> None:
    names = [f"{above}/{above}{child}/{n}.jpg" for above in ("shoes", "hats") for child in (1, 2) for n in range(32)]
    write_pictures(tmp_path / "products", names, 48, seed=3)
    told = run(script("Your own model").replace("--epochs 20", "--epochs 2"), tmp_path)
    assert told.returncode == 0, f"{told.stdout}\n{told.stderr}"
    assert "certificate: 128 pictures" in told.stdout
    assert "fine + coarse distance" in told.stdout


def test_two_commands_that_do_everything_are_targets_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", README, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)


def test_every_command_is_in_the_readme() -> None:
    for name in COMMANDS:
        assert f"hashgrain {name}" in README, f"README.md does not mention hashgrain {name}"


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "CONTRIBUTING.md",
        "docker/README.md",
        "docs/encoding.md",
        "docs/backup.md",
        "docs/generations.md",
        "docs/duplicates.md",
    ],
)
def test_links_of_a_page_lead_somewhere(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), f"{page} links to {target}"


def test_pictures_of_the_demonstration_are_not_all_alike() -> None:
    """The drawn set stands in for real data: its classes must differ."""
    drawn = drawn_collection(200, 32, seed=0)
    assert len(drawn.fine_names) == 20
    means = np.stack([drawn.images[drawn.labels == n].mean((0, 1, 2)) for n in np.unique(drawn.labels)])
    assert np.ptp(means, axis=0).max() > 20
