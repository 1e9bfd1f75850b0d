"""Weight noise, clipping and ADC as IBM's aihwkit-lightning has them."""

import json

import pytest

from cim_sim.commands.compare_noise import compare_noise


def test_noise_clipping_and_adc_are_those_of_aihwkit_lightning(capsys):
    assert compare_noise(sigma=0.07, draws=60, seed=3) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["agree"] is True
    assert said["noise"]["std"] == pytest.approx(1, abs=0.01)
    assert said["noise"]["their_std"] == pytest.approx(1, abs=0.01)
    assert 0.001 < said["noise"]["ks_p"] < 0.999
    assert said["clipping"]["limit"] == pytest.approx(2.5, rel=0.01)
    assert said["clipping"]["their_limit"] == pytest.approx(2.5, rel=0.01)
    assert said["adc"]["equal"] > 0.999
