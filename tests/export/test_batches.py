"""What a step of training sees: views, mixtures and their labels."""

import dataclasses
import random

import numpy as np
import pytest
import torch

from hashgrain.export.augment import augment
from hashgrain.export.batches import Batches, mix
from hashgrain.export.dataset import LabelledImages
from hashgrain.export.settings import TrainSettings

PLAIN = TrainSettings(data="none", crop_padding=0.0, batch_size=8, epochs=3)
SETTINGS = {
    "shift": TrainSettings(data="none", crop_padding=0.125),
    "cutout": TrainSettings(data="none", cutout=0.25),
    "zoom": TrainSettings(data="none", zoom=0.4),
    "colour": TrainSettings(data="none", colour=0.4),
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random_images(count=4, size=16):
    return 255 * torch.rand(count, 3, size, size, generator=generator(9))


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
def test_views_keep_shape_and_range_and_repeat_with_the_generator(settings):
    images = random_images()
    first, again = (augment(images, generator(), settings) for _ in range(2))
    assert first.shape == images.shape
    assert (first.min() >= 0, first.max() <= 255) == (True, True)
    assert torch.equal(first, again)
    assert not torch.equal(first, augment(images, generator(1), settings))


def test_shift_moves_pictures_whole():
    """Every row of a shifted picture is a row of the original's reflected border or body."""
    column = torch.arange(8.0).reshape(1, 1, 8, 1).expand(1, 3, 8, 8)
    moved = augment(column, generator(3), TrainSettings(data="none", crop_padding=0.25))
    assert torch.equal(moved, moved[:, :, :, :1].expand_as(moved))
    assert set(moved.unique().tolist()) <= set(range(8))


def test_zoom_shows_a_part_of_the_picture_and_never_less_than_asked():
    """On a ramp the range of values in a view is the share of the side that it shows."""
    ramp = torch.arange(64.0).reshape(1, 1, 1, 64).expand(500, 3, 64, 64)
    views = augment(ramp, generator(), TrainSettings(data="none", zoom=0.25))
    widths = (views.amax((1, 2, 3)) - views.amin((1, 2, 3))) / 63
    assert widths.min() > 0.5 * (3 / 4) ** 0.5 - 0.03
    assert widths.max() > 0.95
    forwards = views[:, 0, 0, -1] > views[:, 0, 0, 0]
    assert 0.4 < forwards.float().mean() < 0.6  # the others are flipped


def test_plain_settings_leave_the_pixels_or_flip_them():
    images = random_images()
    for view, image in zip(augment(images, generator(), PLAIN), images, strict=True):
        assert torch.equal(view, image) or torch.equal(view, image.flip(2))


def numbered(count=20):
    """Pictures whose every pixel is their own number."""
    images = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 16, 16, 3)).copy()
    names = tuple(map(str, range(count)))
    return LabelledImages(images, np.arange(count), np.zeros(count, np.int64), names, ("all",), "numbers")


def test_an_epoch_shows_each_picture_once_with_its_label_and_in_its_own_order():
    batches = Batches(PLAIN, numbered(), torch.device("cpu"))
    assert (batches.per_epoch, batches.steps) == (2, 6)
    orders = []
    for epoch in range(2):
        views, labels = zip(*(batches.views(2 * epoch + step) for step in range(2)), strict=True)
        shown, said = torch.cat(views)[:, 0, 0, 0], torch.cat([batch.first for batch in labels])
        assert torch.equal(shown.long(), said)
        assert len(said.unique()) == 16
        orders.append(said)
    assert not torch.equal(*orders)
    assert torch.equal(batches.views(1)[1].first, orders[0][8:])  # a step can be seen again


@pytest.mark.parametrize("kind", ["cutmix", "mixup"])
def test_mixture_holds_as_much_of_each_picture_as_its_labels_say(kind):
    settings = dataclasses.replace(PLAIN, **{kind: 1.0})
    images = torch.arange(1.0, 5)[:, None, None, None].expand(4, 3, 32, 32)
    labels = torch.arange(4)
    shares = set()
    for seed in range(20):
        mixed, found = mix(images, labels, random.Random(seed), settings, progress=0.5)
        assert torch.equal(found.second, labels.roll(1))
        wanted = found.share * images[:, 0, 0, 0] + (1 - found.share) * images.roll(1, 0)[:, 0, 0, 0]
        assert torch.allclose(mixed.mean((1, 2, 3)), wanted, atol=1e-4)
        shares.add(found.share)
    assert min(shares) < 0.5 < max(shares)


def test_nothing_is_mixed_near_the_end_or_unless_asked_for():
    images, labels = random_images(), torch.arange(4)
    asked = dataclasses.replace(PLAIN, cutmix=1.0, mix_until=0.8)
    for settings, progress in ((asked, 0.8), (PLAIN, 0.1)):
        mixed, found = mix(images, labels, random.Random(0), settings, progress)
        assert mixed is images
        assert (found.second, found.share) == (None, 1.0)
