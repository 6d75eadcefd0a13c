"""A step replayed from a CUDA graph computes what the step itself does."""

import dataclasses

import numpy as np
import pytest
import torch

from hashgrain.export.dataset import LabelledImages
from hashgrain.export.settings import TrainSettings
from hashgrain.export.trainer import Trainer

SETTINGS = TrainSettings(
    data="none", backbone="small_cnn", input_size=32, batch_size=32, epochs=5, cutmix=0.5, free_bits=4
)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
def test_replayed_steps_follow_the_plain_ones():
    """Rates, labels and shares change from step to step; all of them must reach the recording."""
    rng = np.random.default_rng(0)
    labels = np.arange(160) % 4
    images = (60 * labels[:, None, None, None] + rng.integers(0, 40, (160, 32, 32, 3))).astype(np.uint8)
    data = LabelledImages(images, labels, np.array([0, 0, 1, 1]), ("a", "b", "c", "d"), ("e", "f"), "drawn")
    losses = []
    for captured in (True, False):
        torch.manual_seed(0)
        trainer = Trainer(dataclasses.replace(SETTINGS), data, torch.device("cuda"))
        if not captured:
            trainer._compute = trainer._one_step
        losses.append([trainer.advance().total.item() for _ in range(trainer.steps)])
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    assert np.mean(losses[0][-5:]) < np.mean(losses[0][:5])
