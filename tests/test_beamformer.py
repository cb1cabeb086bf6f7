"""The beamformer is held to the closed forms of theory, on arrays in the free field."""

import numpy as np
import pytest

from percepnet.params import BINS, HOP_SAMPLES, SignalParams
from percepnet.reference import stft
from percepnet.reference.array_check import EVERY_FRAMES, ArrayCheck
from percepnet.reference.beamformer import (
    CHOICE_FRAMES,
    FADE_FRAMES,
    NOISE_EXPONENT,
    SPEECH_EXPONENT,
    TRADE_OFF,
    Beamformer,
    multichannel_wiener,
    souden_mvdr,
)

PARAMS = SignalParams()
RATE_HZ = 48_000
HZ = np.arange(BINS) * RATE_HZ / 960
SPEED_M_S = 343.0
LINE_M = np.arange(4) * 0.05  # microphones in a line
ACTIVE = 40  # frames of speech, and then as many without, at which the tests know when there is speech


def complex_noise(rng, *shape):
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)


def steering(degrees, places_m=LINE_M):
    """Plane wave in each bin, (bins, channels), seen from the first microphone."""
    delays_s = places_m * np.cos(np.radians(degrees)) / SPEED_M_S
    return np.exp(-2j * np.pi * HZ[:, None] * delays_s)


def covariance(rng, bins, channels):
    x = complex_noise(rng, bins, channels, 3 * channels)
    return x @ x.conj().swapaxes(1, 2)


def closed_form(noise, direction, reference):
    """MVDR: w = R^-1 d / (d^H R^-1 d), of the speech as the reference microphone hears it."""
    solved = np.linalg.solve(noise, direction[..., None])[..., 0]
    w = solved / np.sum(direction.conj() * solved, axis=-1, keepdims=True)
    return w * direction[:, reference, None].conj()


@pytest.mark.parametrize("reference", [0, 2])
@pytest.mark.parametrize("channels", [2, 4, 8])
def test_speech_from_one_direction_gives_the_mvdr_beamformer(channels, reference):
    rng = np.random.default_rng(channels)
    reference %= channels
    noise, direction = covariance(rng, 33, channels), complex_noise(rng, 33, channels)
    speech = 0.3 * direction[:, :, None] * direction[:, None].conj()
    expected = closed_form(noise, direction, reference)
    u = np.eye(channels)[reference]
    np.testing.assert_allclose(souden_mvdr(speech, noise, u), expected, atol=1e-9)
    for trade_off in (0.1, 2.0, 50.0):
        np.testing.assert_allclose(multichannel_wiener(speech, noise, u, trade_off), expected, atol=1e-6)


def test_speech_like_the_noise_gives_the_reference_microphone():
    noise = covariance(np.random.default_rng(0), 9, 3)
    w = multichannel_wiener(0.2 * noise, noise, np.eye(3)[1])
    np.testing.assert_allclose(w, np.tile(np.eye(3)[1], (9, 1)), atol=1e-9)
    np.testing.assert_allclose(souden_mvdr(0.2 * noise, noise, np.eye(3)[1]), w / 3, atol=1e-9)  # a third is left


def test_the_filter_is_never_noisier_than_the_reference_microphone():
    rng = np.random.default_rng(1)
    speech, noise = covariance(rng, 200, 4), covariance(rng, 200, 4)
    w = multichannel_wiener(speech, noise, np.eye(4)[0])

    def power(r):
        return np.einsum("kc,kcd,kd->k", w.conj(), r, w).real

    assert np.all(power(speech) / power(noise) >= speech[:, 0, 0].real / noise[:, 0, 0].real * (1 - 1e-9))


def through(x, degrees, places_m=LINE_M):
    """A plane wave of a signal at the microphones: (channels, n)."""
    hz = np.fft.rfftfreq(2 * len(x), 1 / RATE_HZ)
    delays_s = places_m * np.cos(np.radians(degrees)) / SPEED_M_S
    spectrum = np.fft.rfft(x, 2 * len(x)) * np.exp(-2j * np.pi * hz * delays_s[:, None])
    return np.fft.irfft(spectrum)[:, : len(x)].astype(np.float32)


def scene(hops=480, self_noise=0.003, together=True):
    """Bursts of white sound from 60 degrees, white sound from 150 degrees (or only between the bursts), and noise of
    the microphones' own."""
    rng = np.random.default_rng(2)
    is_speech = np.arange(hops) // ACTIVE % 2 == 1
    speech, noise = 0.1 * rng.standard_normal((2, hops * HOP_SAMPLES))
    heard = through(speech * np.repeat(is_speech, HOP_SAMPLES), 60)
    rest = through(noise if together else noise * np.repeat(~is_speech, HOP_SAMPLES), 150)
    rest = rest + (self_noise * rng.standard_normal(rest.shape)).astype(np.float32)
    gains = np.where(is_speech, 0.9, 0.02)[:, None] * np.ones(PARAMS.bands)
    late = np.roll(gains, PARAMS.lookahead_frames, axis=0)  # as the network has them
    return heard, rest, late


def run(beamformer, x, gains):
    hops = range(0, x.shape[1], HOP_SAMPLES)
    listeners = len(beamformer.listeners)
    parts = [
        beamformer.process(x[:, i : i + HOP_SAMPLES], np.tile(g, (listeners, 1)))
        for i, g in zip(hops, gains, strict=True)
    ]
    return np.concatenate(parts, axis=1)[0]


def snr_db(beamformer, heard, rest):
    """What the filter makes of speech and noise of known covariances, over the band where there is a direction."""
    w = beamformer._filter
    band = slice(10, 300)  # 500 Hz to 15 kHz
    powers = []
    for x in (heard, rest):
        spectra = stft.analysis(stft.frames(x)).transpose(2, 0, 1)
        powers.append(np.mean(np.abs(np.einsum("kc,kct->kt", w.conj(), spectra)) ** 2, axis=1)[band])
    return 10 * np.log10(powers[0] / powers[1])


def test_an_interferer_from_another_side_goes_as_far_down_as_theory_says():
    """Where speech and noise can be learnt one after the other: in 500 frames within some decibels of the best."""
    heard, rest, gains = scene(together=False)
    beamformer = Beamformer(4, PARAMS)
    run(beamformer, heard + rest, gains)
    found = snr_db(beamformer, heard, rest)
    direction, other = steering(60), steering(150)
    noise = 0.5 * 0.1**2 * other[:, :, None] * other[:, None].conj() + 0.003**2 * np.eye(4)
    best = np.sum(direction.conj() * np.linalg.solve(noise, direction[..., None])[..., 0], axis=1).real
    expected = 10 * np.log10(0.5 * 0.1**2 * best)[10:300]  # both are there half of the time
    assert np.median(expected) > 25  # of 0 before
    assert np.median(found) > 20
    assert np.median(expected - found) < 6


def test_noise_in_the_frames_of_speech_costs_what_theory_says():
    """Phi_s = S + k N gives (S + a N)^-1 (S + k N) u, in which k / a of the noise stays: a = k + mu."""
    heard, rest, gains = scene()
    beamformer = Beamformer(4, PARAMS)
    run(beamformer, heard + rest, gains)
    left = 0.9**SPEECH_EXPONENT / (0.9**SPEECH_EXPONENT + TRADE_OFF * 0.98**NOISE_EXPONENT)
    expected = -3.0 - 20 * np.log10(left)  # at most: the scale brings some of it back
    found = np.median(snr_db(beamformer, heard, rest))
    assert expected - 3 < found < expected + 1


def test_what_comes_out_is_late_by_a_hop_and_the_speech_of_the_reference_microphone():
    heard, rest, gains = scene(together=False)
    beamformer = Beamformer(4, PARAMS)
    y = run(beamformer, heard + rest, gains)
    late = beamformer.latency_samples
    end = slice(-ACTIVE * HOP_SAMPLES + late, None)  # a burst
    expected = np.roll(heard[beamformer.reference], late)[end]
    assert 10 * np.log10(np.mean(expected**2) / np.mean((y[end] - expected) ** 2)) > 20
    pause = slice(-2 * ACTIVE * HOP_SAMPLES + 2 * late, -ACTIVE * HOP_SAMPLES)
    assert 10 * np.log10(np.mean(rest[0, pause] ** 2) / np.mean(y[pause] ** 2)) > 15


def test_gains_of_microphones_and_their_order_change_nothing():
    heard, rest, gains = scene(240)
    x = heard + rest
    expected = run(Beamformer(4, PARAMS), x, gains)
    levels = np.array([1, 0.1, 10, 0.3], np.float32)[:, None]
    found = run(Beamformer(4, PARAMS), x * levels, gains)
    assert np.sqrt(np.mean((found - expected) ** 2)) < 0.05 * np.sqrt(np.mean(expected**2))
    order = [0, 3, 1, 2]
    found = run(Beamformer(4, PARAMS), x[order], gains)
    assert np.sqrt(np.mean((found - expected) ** 2)) < 0.05 * np.sqrt(np.mean(expected**2))


def test_where_there_is_nothing_to_gain_the_reference_microphone_is_heard():
    rng = np.random.default_rng(3)
    hops = 400
    is_speech = np.arange(hops) // ACTIVE % 2 == 1
    # what is called speech and what is called noise come from the same place
    x = through(0.1 * rng.standard_normal(hops * HOP_SAMPLES), 60) + 1e-4 * rng.standard_normal((4, hops * HOP_SAMPLES))
    x = x.astype(np.float32)
    gains = np.where(is_speech, 0.9, 0.02)[:, None] * np.ones(PARAMS.bands)
    beamformer = Beamformer(4, PARAMS)
    y = run(beamformer, x, gains)
    late = beamformer.latency_samples
    end = slice(len(y) // 2, None)
    reference = np.roll(x[beamformer.reference], late)[end]
    assert 10 * np.log10(np.mean(reference**2) / np.mean((y[end] - reference) ** 2)) > 15


def test_a_better_microphone_becomes_the_reference_without_a_jump_in_loudness():
    heard, rest, gains = scene(400, together=False)
    rest *= 0.3
    rest[0] += (0.3 * np.random.default_rng(4).standard_normal(rest.shape[1])).astype(np.float32)
    levels = np.array([1, 0.5, 0.5, 0.5], np.float32)[:, None]
    beamformer = Beamformer(4, PARAMS)
    y = run(beamformer, (heard + rest) * levels, gains)
    assert beamformer.reference != 0
    end = slice(-ACTIVE * HOP_SAMPLES, None)  # speech, as 400 hops are five times both
    level_db = 10 * np.log10(np.mean(y[end] ** 2) / np.mean(heard[0, end] ** 2))
    assert abs(level_db) < 2
    assert CHOICE_FRAMES + FADE_FRAMES < 100


def spectra(x):
    return stft.analysis(stft.frames(x)).astype(np.complex64).transpose(1, 0, 2)


def checked(x):
    check = ArrayCheck(len(x))
    for frame in spectra(x):
        check.push(frame)
    return check


def test_silent_constant_and_copied_microphones_are_found():
    x = 0.1 * np.random.default_rng(5).standard_normal((6, (2 * EVERY_FRAMES + 2) * HOP_SAMPLES))
    x[1] = 0
    x[2] = 0.3
    x[4] = -0.2 * x[0] + 1e-5 * x[5]
    check = checked(x)
    assert check.left_out == {1: "is silent", 2: "is silent", 4: "is a copy of channel 1"}
    assert check.used.tolist() == [1, 0, 0, 1, 0, 1]


def test_neighbours_with_noises_of_their_own_are_no_copies_and_silence_is_no_fault():
    rng = np.random.default_rng(6)
    hum = 0.1 * np.sin(2 * np.pi * 200 * np.arange(60 * HOP_SAMPLES) / RATE_HZ)
    x = through(hum, 0, np.array([0, 0.02])) + 1e-4 * rng.standard_normal((2, len(hum)))  # 60 dB down, 2 cm apart
    assert checked(x).left_out == {}
    assert checked(np.zeros((3, 60 * HOP_SAMPLES))).left_out == {}
    x[1] *= 0.1  # 20 dB softer
    assert checked(x).left_out == {}


def test_a_microphone_that_dies_and_comes_back():
    heard, rest, gains = scene(480, together=False)
    x = heard + rest
    x[0, : 160 * HOP_SAMPLES] = 0
    x[2, 160 * HOP_SAMPLES : 320 * HOP_SAMPLES] = 0
    beamformer = Beamformer(4, PARAMS)
    parts = []
    for part in range(3):
        these = slice(160 * part, 160 * (part + 1))
        parts.append(run(beamformer, x[:, 160 * part * HOP_SAMPLES : 160 * (part + 1) * HOP_SAMPLES], gains[these]))
        assert beamformer.left_out == [{0: "is silent"}, {2: "is silent"}, {}][part]
        assert part or beamformer.reference != 0
    assert np.all(np.isfinite(np.concatenate(parts)))
    assert np.median(snr_db(beamformer, heard, rest)) > 10


@pytest.mark.parametrize("together", [True, False])
def test_microphones_that_swap_are_never_worse_than_one_and_are_learnt_anew(together):
    heard, rest, gains = scene(720, together=together)
    swap, order = 480 * HOP_SAMPLES, [2, 0, 3, 1]
    heard[:, swap:], rest[:, swap:] = heard[order, swap:], rest[order, swap:]
    beamformer = Beamformer(4, PARAMS)
    y = run(beamformer, heard + rest, gains)[beamformer.latency_samples :]
    reference = beamformer.reference
    found_db = []
    for start in range(swap, len(y) - 40 * HOP_SAMPLES, 80 * HOP_SAMPLES):  # speech and pause
        part = slice(start, min(start + 80 * HOP_SAMPLES, len(y)))
        error, noise = (np.sum(np.square(x[part] - heard[reference, part])) for x in (y, (heard + rest)[reference]))
        found_db.append(10 * np.log10(noise / error))
    assert min(found_db) > 2
    assert found_db[1] > 8
