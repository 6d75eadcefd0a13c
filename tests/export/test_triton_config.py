from pathlib import Path

import pytest

from hashgrain.codes import CodeLayout, EncoderContract
from hashgrain.codes.errors import InvalidInput
from hashgrain.export.triton_config import ServingSettings, encoder_config

GOLDEN = Path(__file__).parent.parent / "golden" / "hash_encoder.config.pbtxt"
CONTRACT = EncoderContract(CodeLayout(12, 48), 64, "0123456789abcdef", ('quo"te', "back\\slash"), ("é",))


def test_config_is_the_golden_file_to_the_letter():
    assert encoder_config(CONTRACT, ServingSettings(max_batch_size=64, instances=2)) == GOLDEN.read_text()


@pytest.mark.parametrize(
    "wrong", [{"max_batch_size": 0}, {"instances": 0}, {"max_queue_delay_us": -1}, {"kind": "KIND_TPU"}]
)
def test_settings_that_triton_would_refuse_are_refused_here(wrong):
    with pytest.raises(InvalidInput):
        ServingSettings(**wrong)
