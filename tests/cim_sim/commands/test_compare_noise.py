"""Weight noise as IBM's aihwkit-lightning injects it."""

import json

import pytest

from cim_sim.commands.compare_noise import compare_noise


def test_the_noise_is_that_of_aihwkit_lightning(capsys):
    assert compare_noise(sigma=0.07, draws=60, seed=3) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["agree"] is True
    for scale in ("layer", "channel"):
        assert said[scale]["std"] == pytest.approx(1, abs=0.01)
        assert said[scale]["their_std"] == pytest.approx(1, abs=0.01)
        assert 0.001 < said[scale]["ks_p"] < 0.999
