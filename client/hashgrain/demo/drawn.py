"""A small set of drawn pictures, for machines without data and without a network: five shapes in four colours."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SHAPES = ("disc", "square", "triangle", "ring", "bars")
COLOURS = {"red": 0.0, "yellow": 0.15, "green": 0.35, "blue": 0.62}


@dataclass(frozen=True, eq=False)
class DrawnSet:
    """uint8 (N, S, S, 3) pictures; class = shape and colour, superclass = shape."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    parent: NDArray[np.int64]
    fine_names: tuple[str, ...]
    coarse_names: tuple[str, ...]


def drawn_collection(count: int, size: int, seed: int) -> DrawnSet:
    """Draw `count` pictures of `size` pixels; place, scale, shade and background come from the seed."""
    rng = np.random.default_rng(seed)
    names = tuple(f"{colour} {shape}" for shape in SHAPES for colour in COLOURS)
    labels = rng.integers(0, len(names), count)
    images = np.stack([_draw(int(label), size, rng) for label in labels])
    return DrawnSet(images, labels, np.repeat(np.arange(len(SHAPES)), len(COLOURS)), names, SHAPES)


def _draw(label: int, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    shape, colour = divmod(label, len(COLOURS))
    scale = 4  # drawn large and scaled down, for smooth edges
    side = scale * size
    picture = Image.new("RGB", (side, side), tuple(int(v) for v in rng.integers(170, 250, 3)))
    draw = ImageDraw.Draw(picture)
    hue = list(COLOURS.values())[colour] + rng.uniform(-0.03, 0.03)
    rgb = colorsys.hsv_to_rgb(hue % 1, rng.uniform(0.7, 1), rng.uniform(0.55, 0.95))
    fill = (int(255 * rgb[0]), int(255 * rgb[1]), int(255 * rgb[2]))
    radius = side * rng.uniform(0.22, 0.38)
    x, y = rng.uniform(radius, side - radius, 2)
    box = (x - radius, y - radius, x + radius, y + radius)
    if SHAPES[shape] == "disc":
        draw.ellipse(box, fill=fill)
    elif SHAPES[shape] == "square":
        draw.rectangle(box, fill=fill)
    elif SHAPES[shape] == "triangle":
        draw.polygon([(x, y - radius), (x - radius, y + radius), (x + radius, y + radius)], fill=fill)
    elif SHAPES[shape] == "ring":
        draw.ellipse(box, outline=fill, width=int(radius * 0.4))
    else:
        for step in range(3):
            left = x - radius + step * radius * 0.75
            draw.rectangle((left, y - radius, left + radius * 0.4, y + radius), fill=fill)
    pixels = np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS)).astype(np.float32)
    return np.clip(pixels + rng.normal(0, 6, pixels.shape), 0, 255).astype(np.uint8)
