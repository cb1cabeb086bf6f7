import numpy as np
import pytest

pytest.importorskip("scipy")

from models import random_model
from percepnet.evaluation.speech_detection import area_under_curve, detection, speech_probabilities
from percepnet.model import Architecture, Layer, Model
from percepnet.params import SignalParams
from voices import steady


def test_area_of_all_pairs_one_by_one():
    rng = np.random.default_rng(0)
    labels = rng.random(60) < 0.4
    scores = np.round(rng.random(60) + 0.3 * labels, 1)  # with ties
    pairs = [(p > n) + 0.5 * (p == n) for p in scores[labels] for n in scores[~labels]]
    assert area_under_curve(scores, labels) == pytest.approx(np.mean(pairs))


def test_best_worst_and_nothing_to_tell_apart():
    labels = np.array([True, True, False])
    assert area_under_curve(np.array([0.9, 0.8, 0.1]), labels) == 1
    assert area_under_curve(np.array([0.1, 0.2, 0.9]), labels) == 0
    assert np.isnan(area_under_curve(np.ones(3), np.ones(3, bool)))


def test_a_network_without_the_head_says_nothing():
    assert speech_probabilities(np.zeros(4800, np.float32), random_model()) is None
    found, labels = detection(steady(400, 0.1), steady(400, 0.1), random_model())
    assert len(found) == len(labels) == 0


def level_model(lookahead):
    """A network whose speech probability is above a half where the newest frame is louder than -60 dB."""
    layers = (
        Layer("gain", "dense", ("features",), "bands", "sigmoid"),
        Layer("strength", "dense", ("features",), "bands", "sigmoid"),
        Layer("voice", "dense", ("features",), 1, "sigmoid"),
    )
    architecture = Architecture(layers, {"gains": "gain", "strengths": "strength", "speech": "voice"})
    params = SignalParams(lookahead_frames=lookahead, feature_blocks=("band_levels",))
    weights = {name: np.zeros(shape, np.float32) for name, shape in architecture.shapes(params).items()}
    weights["voice.weight"][:] = 1
    return Model(params, architecture, weights)


@pytest.mark.parametrize("lookahead", [0, 2])
def test_probabilities_are_in_time_with_the_speech(lookahead):
    voice = np.zeros(48000, np.float32)
    voice[24000:36000] = steady(400, 0.25)
    found = speech_probabilities(voice, level_model(lookahead))
    assert len(found) == 100
    # hops 50 to 74 hold the voice; frames overlap, and the newest frame is as many before as the look-ahead
    np.testing.assert_array_equal(np.flatnonzero(found > 0.5), np.arange(50 - lookahead, 76 - lookahead))
