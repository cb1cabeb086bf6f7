import numpy as np
import pytest

from percepnet.params import ERB_EDGES_34, HEARD_FEATURES, HOP_SAMPLES, SignalParams
from percepnet.reference.analysis import Analysis
from percepnet.reference.bands import bands_of
from percepnet.reference.features import RELATIVE_FALL_FRAMES, RELATIVE_RISE_FRAMES, Features, RelativeLevels
from percepnet.reference.stft import analysis

BANDS = bands_of(ERB_EDGES_34)
ALL = SignalParams(feature_blocks=HEARD_FEATURES)


def features(energies, coherences, periods_samples, correlations):
    bins = np.zeros((len(energies), 481))
    return Features(SignalParams()).push(energies, bins, coherences, periods_samples, correlations)


def of_energies(energies):
    frames = len(energies)
    return features(energies, np.zeros((frames, 34)), np.full(frames, 272.0), np.full(frames, 0.5))


def test_there_are_70_in_the_documented_order():
    row = features(np.ones((1, 34)), np.full((1, 34), 0.25), np.array([544.0]), np.array([0.9]))
    assert row.shape == (1, 70)
    assert row.dtype == np.float32
    np.testing.assert_allclose(row[0, 34:68], 0.25)
    assert row[0, 68] == pytest.approx(1.0)  # an octave below the middle
    assert row[0, 69] == pytest.approx(0.8)


def test_white_noise_reads_its_own_level_in_every_band():
    """Noise of -40 dB has that power in every bin of a window whose squares sum to 480."""
    x = 0.01 * np.random.default_rng(0).standard_normal((3000, 960))
    energies = BANDS.energy(analysis(x)).mean(axis=0)
    np.testing.assert_allclose(30.0 * of_energies(energies[None])[0, :34] - 60.0, -40.0, atol=0.5)


def test_silence_is_finite_and_at_the_floor():
    row = of_energies(np.zeros((1, 34)))
    np.testing.assert_allclose(row[0, :34], (-100.0 + 60.0) / 30.0, rtol=1e-5)


def test_blocks_stand_where_the_table_says():
    x = 0.1 * np.random.default_rng(1).standard_normal((1, 40 * HOP_SAMPLES)).astype(np.float32)
    found = Analysis(ALL).push(x).features
    assert found.shape == (40, ALL.features) == (40, 34 + 34 + 2 + 34 + 100 + 34)
    turned = SignalParams(feature_blocks=HEARD_FEATURES[::-1])
    other = Analysis(turned).push(x).features
    for block, columns in ALL.feature_slices.items():
        np.testing.assert_array_equal(found[:, columns], other[:, turned.feature_slices[block]])


# Relative levels.


def levels(powers, silent=None):
    silent = np.zeros(len(powers), bool) if silent is None else silent
    return RelativeLevels(powers.shape[1]).push(powers, silent)


def test_first_frame_is_zero_and_a_constant_level_stays_there():
    np.testing.assert_allclose(levels(np.full((500, 3), 1e-4)), 0, atol=1e-6)


def test_relative_levels_do_not_depend_on_level_or_colour():
    rng = np.random.default_rng(2)
    powers = 10 ** rng.uniform(-6, -2, (400, 5))
    np.testing.assert_allclose(levels(powers * 10.0 ** np.arange(-3, 2)), levels(powers), atol=1e-4)


def test_mean_is_that_of_all_frames_and_then_forgets():
    frames = RELATIVE_RISE_FRAMES
    powers = np.concatenate([np.full((frames, 1), 1e-6), np.full((frames + 1, 1), 1e-3)])
    found = levels(powers)[:, 0]
    assert found[frames] == pytest.approx(1 - 1 / frames, abs=1e-4)  # 30 dB up
    assert found[-1] == pytest.approx(np.exp(-1), abs=0.01)  # an exponential mean with a time constant of so many
    early = levels(np.array([[1e-6], [1e-3], [1e-3]]))[:, 0]
    np.testing.assert_allclose(early, [0, 1 - 1 / 2, 1 - 2 / 3], atol=1e-5)


def test_mean_falls_faster_than_it_rises():
    rising = np.concatenate([np.full((500, 1), 1e-6), np.full((RELATIVE_FALL_FRAMES, 1), 1e-3)])
    up, down = levels(rising)[-1, 0], levels(1e-9 / rising)[-1, 0]
    assert up == pytest.approx(np.exp(-RELATIVE_FALL_FRAMES / RELATIVE_RISE_FRAMES), abs=0.01)
    assert down == pytest.approx(-np.exp(-1), abs=0.01)


def test_digital_silence_leaves_the_mean_alone():
    loud = np.full((50, 2), 1e-4)
    powers = np.concatenate([np.zeros((30, 2)), loud, np.zeros((900, 2)), loud])
    found = levels(powers, powers[:, 0] == 0)
    np.testing.assert_allclose(found[:80], 0, atol=1e-6)
    np.testing.assert_allclose(found[-50:], 0, atol=1e-6)
    assert (found[80:-50] < -1).all()


def test_whole_recordings_and_single_hops_give_the_same():
    x = 0.1 * np.random.default_rng(3).standard_normal((2, 30 * HOP_SAMPLES)).astype(np.float32)
    whole = Analysis(ALL, 2).push(x).features
    stream = Analysis(ALL, 2)
    single = [stream.push(hop).features for hop in np.split(x, 30, axis=1)]
    np.testing.assert_allclose(np.concatenate(single), whole, atol=1e-4)


def test_bins_tell_harmonics_that_bands_join():
    t = np.arange(100 * HOP_SAMPLES) / 48_000
    x = np.where(t > 0.5, np.sin(2 * np.pi * 2000 * t), 0) + 1e-3 * np.random.default_rng(4).standard_normal(len(t))
    found = Analysis(ALL).push(x[None].astype(np.float32)).features[60, ALL.feature_slices["relative_bin_levels"]]
    assert found.argmax() == 40  # of 50 Hz


@pytest.mark.parametrize(
    ("blocks", "words"),
    [(("band_levels", "smell"), "'smell'"), ((), "at least one"), (("pitch", "pitch"), "each once")],
)
def test_blocks_that_do_not_fit_are_refused(blocks, words):
    with pytest.raises(ValueError, match=rf"features: expected .*{words}"):
        SignalParams(feature_blocks=blocks)
