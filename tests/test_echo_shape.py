"""The rest of an echo is taken out where the echo lies, and what lies between stays."""

import numpy as np
import pytest

import percepnet
from echoes import echo, speech
from models import random_model
from percepnet import native
from percepnet.model import Model
from percepnet.params import ECHO_FEATURES, HOP_SAMPLES, SAMPLE_RATE_HZ, SignalParams
from percepnet.reference import stft
from percepnet.reference.bands import bands_of
from percepnet.reference.echo_shape import LONG_SAMPLES, EchoShape, Rest, beside_the_rest
from percepnet.reference.stream import Stream as Definition
from voices import noise

BANDS = bands_of(SignalParams().band_edges)
SECONDS = np.arange(SAMPLE_RATE_HZ // 2) / SAMPLE_RATE_HZ


def harmonics(pitch_hz, seed=0):
    rng = np.random.default_rng(seed)
    phases = rng.uniform(0, 2 * np.pi, 20)
    tones = [np.cos(2 * np.pi * pitch_hz * (i + 1) * SECONDS + phase) for i, phase in enumerate(phases)]
    return (0.01 * np.sum(tones, axis=0)).astype(np.float32)


def cleaned(heard, taken, of_bands, lookahead_frames=2):
    """Spectra of the decided frames, as they are and without the rest; frame t of each is one of the same samples."""
    shape = EchoShape(BANDS, lookahead_frames, 1)
    gains = np.full(34, of_bands, np.float32)
    padded = np.concatenate([np.zeros(max(shape.samples, LONG_SAMPLES), np.float32), heard])
    before, after = [], []
    for hop in range(len(heard) // HOP_SAMPLES):
        end = len(padded) - len(heard) + (hop + 1) * HOP_SAMPLES
        rest = Rest(gains, taken[None, hop * HOP_SAMPLES : (hop + 1) * HOP_SAMPLES])
        after.append(shape.push(rest, padded[None, end - shape.samples : end]).noisy[0])
        frame = end - (lookahead_frames + 2) * HOP_SAMPLES
        before.append(stft.analysis(padded[frame : frame + 2 * HOP_SAMPLES]))
    return np.array(before), np.array(after)


@pytest.mark.parametrize("lookahead_frames", [0, 1, 2, 4])
def test_gains_of_one_leave_the_frame_as_it_is(lookahead_frames):
    heard, taken = (noise(seed, 9600, 0.1).astype(np.float32) for seed in (1, 2))
    before, after = cleaned(heard, taken, 1.0, lookahead_frames)
    np.testing.assert_allclose(after, before, atol=1e-5 * np.abs(before).max())


def test_a_talker_between_the_harmonics_of_the_echo_is_kept():
    """Half of the energy of each band is echo: harmonics 40 Hz apart share bins of the frame, and none of the long
    window."""
    talker, rest = harmonics(230.0, 1), harmonics(190.0, 2)
    _, after = cleaned(talker + rest, 3 * rest, 0.5**0.5)
    _, of_talker = cleaned(talker, 3 * rest, 1.0)

    def error(found):
        steady = slice(12, -3)
        kept = np.vdot(of_talker[steady], found[steady]) / np.vdot(of_talker[steady], of_talker[steady])
        wrong = found[steady] - kept * of_talker[steady]
        return np.abs(kept), np.sqrt(np.sum(np.abs(wrong) ** 2) / np.sum(np.abs(kept * of_talker[steady]) ** 2))

    flat, _ = cleaned(talker + rest, np.zeros_like(rest), 0.5**0.5)
    kept, wrong = error(after)
    _, wrong_flat = error(flat)
    assert kept > 0.8
    assert wrong < 0.6 * wrong_flat


def test_where_no_echo_was_taken_away_the_gain_is_that_of_its_band():
    heard = noise(3, 9600, 0.1).astype(np.float32)
    before, after = cleaned(heard, np.zeros_like(heard), 0.25)
    np.testing.assert_allclose(after, 0.25 * before, atol=1e-4 * np.abs(before).max())


def test_nothing_stays_of_bands_that_are_all_echo():
    heard = noise(3, 9600, 0.1).astype(np.float32)
    _, after = cleaned(heard, 0.5 * heard, 0.0)
    assert not after.any()


@pytest.mark.parametrize(("lookahead_frames", "later"), [(1, 0), (2, 0), (3, 1)])
def test_gains_hear_what_is_within_30_ms_of_the_decided_frame(lookahead_frames, later):
    """An echo that changes its pitch between two hops, within one band."""
    shape = EchoShape(BANDS, lookahead_frames, 1)
    heard = noise(4, shape.samples, 0.1).astype(np.float32)[None]  # the same in all frames
    change, first, second = 15, 100, 97  # hop, and bins of the frame
    of_first, of_second = [], []
    for at in range(20):
        tone = 2 * np.pi * 50 * (second if at >= change else first)
        echo = np.sin(tone * (at * HOP_SAMPLES + np.arange(HOP_SAMPLES)) / SAMPLE_RATE_HZ).astype(np.float32)
        gains = shape.push(Rest(np.full(34, 0.5, np.float32), echo[None]), heard).gains
        of_first.append(gains[first])
        of_second.append(gains[second])
    assert max(of_first[3:]) < 0.05
    assert int(np.argmax(np.array(of_second[8:]) < 0.9 * of_second[change - 1])) + 8 == change + later
    assert max(of_second[change + later + 2 :]) < 0.05


def test_after_a_reset_it_knows_nothing():
    shape = EchoShape(BANDS, 2, 1)
    heard, echo = (noise(seed, shape.samples, 0.1).astype(np.float32)[None] for seed in (5, 6))
    rest = Rest(np.full(34, 0.5, np.float32), echo[:, :HOP_SAMPLES])
    first = [shape.push(rest, heard).gains for _ in range(5)]
    shape.reset()
    np.testing.assert_array_equal([shape.push(rest, heard).gains for _ in range(5)], first)


def test_the_enhancement_gives_back_half_of_what_both_take_and_combs_less():
    taken = np.array([1, 0.25, 0.01], np.float32)
    gains, strengths = beside_the_rest(taken, np.full(3, 0.3, np.float32), np.full(3, 0.8, np.float32))
    np.testing.assert_allclose(gains, [0.3, 0.6, 0.3 / 0.1**0.5], rtol=1e-6)
    np.testing.assert_allclose(strengths, 0.8 * taken, rtol=1e-6)
    assert beside_the_rest(taken, np.ones(3, np.float32), taken)[0].max() == 1


def test_where_no_echo_was_taken_away_the_enhancement_decides_alone():
    shape = EchoShape(BANDS, 2, 1)
    heard = noise(1, shape.samples, 0.1).astype(np.float32)[None]
    gains = np.full(34, 0.5, np.float32)
    for level, taken in ((1e-4, 1.0), (0.1, 0.5)):
        for _ in range(30):
            found = shape.push(Rest(gains, np.float32(level) * heard[:, :HOP_SAMPLES]), heard)
        np.testing.assert_array_equal(found.of_bands, np.float32(taken))


@pytest.mark.parametrize("lookahead_frames", [1, 3])
def test_core_is_the_definition_for_other_look_aheads(core, lookahead_frames):
    model = random_model(1, SignalParams(lookahead_frames))
    residual = random_model(
        2, SignalParams(lookahead_frames, feature_blocks=("band_levels", *ECHO_FEATURES)), "residual"
    )
    residual = Model(residual.params, residual.architecture.in_single_precision(), residual.weights)
    far = speech("sea_female", 1.0)
    near = echo(far, 1)[None] + noise(3, len(far), 0.01).astype(np.float32)
    y = Definition(model, far_end=True, residual=residual).process(near, far[None])
    z = native.Stream(model, far_end=True, residual=residual, exact=True).process(near, far[None])
    assert np.sqrt(np.mean((y - z) ** 2)) < 1e-3 * np.sqrt(np.mean(y**2))


def test_a_limit_of_attenuation_leaves_the_echo_at_that_level(core):
    """As the documentation says: nothing goes down by more, the rest of an echo included."""
    model = percepnet.load_model("small")
    far = speech("sea_female", 3.0)
    heard = echo(far)
    levels = [
        np.std(percepnet.Enhancer(model=model, far_end=True, attenuation_limit_db=limit).process(heard, far)[-48000:])
        for limit in (12.0, None)
    ]
    assert levels[0] > 1.5 * levels[1]
