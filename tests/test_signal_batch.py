"""The signal path in PyTorch against its definition in NumPy, box by box and as rows of training."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models import random_model
from percepnet.acoustics.levels import active_rms
from percepnet.acoustics.mixing import Mixture
from percepnet.model import PRESETS
from percepnet.model.presets import with_bins
from percepnet.params import HEARD_FEATURES, HOP_SAMPLES, SAMPLE_RATE_HZ, SignalParams
from percepnet.reference import comb as reference_comb
from percepnet.reference import highpass as reference_highpass
from percepnet.reference import pitch as reference_pitch
from percepnet.reference import stft as reference_stft
from percepnet.reference.analysis import Analysis
from percepnet.reference.bands import bands_of as reference_bands_of
from percepnet.reference.mix import enhance_spectrum as reference_enhance_spectrum
from percepnet.reference.network import bin_network
from percepnet.reference.noise_shape import NoiseShape
from percepnet.reference.oracle import exact_strength as reference_exact_strength
from percepnet.reference.oracle import training_example
from percepnet.training.features import UNKNOWN, is_speech, known
from percepnet.training.network import from_model, to_model
from percepnet.training.rows import RowLayout
from percepnet.training.signal import comb, examples, highpass, levels, oracle, pitch, stft
from percepnet.training.signal.analysis import analyse
from percepnet.training.signal.bands import bands_of
from percepnet.training.signal.mix import enhance, enhance_spectrum
from percepnet.training.signal.noise_shape import ShapedFrames, noise_shape, noise_shape_state, shaped_frames
from voices import glide

SECONDS = 3.0
CPU = torch.device("cpu")
PARAMS = SignalParams(highpass_hz=30.0, feature_blocks=HEARD_FEATURES)


@pytest.fixture(scope="module")
def sounds():
    """Clean and noisy speech [shape=(3, n)]: a voice that pauses, a quiet one with DC, and noise alone."""
    rng = np.random.default_rng(1)
    samples = round(SECONDS * SAMPLE_RATE_HZ)
    first, second = (_voice(seed, samples) for seed in (1, 2))
    first[samples // 3 : samples // 2] = 0
    noise = rng.standard_normal((3, samples)).astype(np.float32)
    floor = 1e-4 * rng.standard_normal((3, samples)).astype(np.float32)
    clean = np.stack([0.3 * first, 0.002 * second, np.zeros_like(first)]) + floor
    noisy = clean + np.array([[0.01], [0.0005], [0.1]], np.float32) * noise
    noisy[1] += 0.02
    return clean.astype(np.float32), noisy.astype(np.float32)


def _voice(seed: int, samples: int) -> np.ndarray:
    """A voice whose pitch glides, with words and gaps, of a peak of about 1."""
    words = np.clip(np.sin(2 * np.pi * 1.3 * np.arange(samples) / SAMPLE_RATE_HZ) * 3, 0, 1)
    return (3 * glide(seed, SECONDS)[0] * words).astype(np.float32)


@pytest.fixture(scope="module")
def both(sounds):
    """Frames of the noisy recordings: of the reference, one by one, and of the batch."""
    _, noisy = sounds
    found, _ = analyse(PARAMS, torch.from_numpy(noisy))
    return [Analysis(PARAMS).push(row[None]) for row in noisy], found


def close(found, expected, tolerance: float) -> None:
    np.testing.assert_allclose(np.asarray(found), expected, rtol=0, atol=tolerance)


def test_the_high_pass_is_the_recursion(sounds):
    x = torch.from_numpy(sounds[1][:, : 20 * HOP_SAMPLES])
    state = highpass.beginning(30.0, x)
    y, after = highpass.highpass(30.0, x, state)
    expected, expected_after = reference_highpass.recursion(30.0, x.double().numpy(), state.numpy())
    # single precision, relative to samples of up to 0.5
    close(y, expected, 2e-7)
    close(after, expected_after, 1e-9)
    pieces, state = [], highpass.beginning(30.0, x)
    for piece in torch.split(x, 7 * HOP_SAMPLES, dim=1):
        found, state = highpass.highpass(30.0, piece, state)
        pieces.append(found)
    close(torch.cat(pieces, dim=1), y.numpy(), 2e-7)


def test_spectra_and_what_they_add_up_to(sounds):
    x = sounds[0][:, : 40 * HOP_SAMPLES]
    spectrum = stft.analysis(stft.frames(torch.from_numpy(x)))
    close(spectrum, reference_stft.analysis(reference_stft.frames(x)), 1e-4)  # of bins up to 100
    again = stft.overlap_add(stft.synthesis(spectrum))
    close(again[:, HOP_SAMPLES:], x[:, HOP_SAMPLES:-HOP_SAMPLES], 1e-6)


def test_pitch_correlation_and_its_cells(sounds):
    x = sounds[1][:, : reference_pitch.HISTORY_SAMPLES + 50 * HOP_SAMPLES]
    lags = pitch.correlation(torch.from_numpy(x))
    peaks, periods = pitch.cells(lags)
    for row, signal in enumerate(x):
        expected = reference_pitch.correlation(signal[None])
        # of correlations up to 1 after whitening; FFTs of other processors round differently, 5.2e-6 has been seen
        close(lags[row], expected, 1e-5)
        expected_peaks, expected_periods = reference_pitch.cells(expected)
        close(peaks[row], expected_peaks, 1e-5)
        # flat noise has peaks beside each other that differ by less than what single precision can tell
        agree = np.abs(periods[row].numpy() / expected_periods - 1) < 1e-3
        assert agree.mean() > 0.99


def test_pitch_lags_of_the_best_path(both):
    reference, found = both
    agree = [
        np.abs(found.periods_samples[row].numpy() / frames.periods_samples - 1) < 1e-3
        for row, frames in enumerate(reference)
    ]
    assert np.mean(agree) >= 0.995
    for row, frames in enumerate(reference):
        close(found.correlations[row], frames.correlations, 1e-5)


def test_stretches_tracked_side_by_side_are_one_path():
    rng = np.random.default_rng(2)
    frames = 4 * (pitch.STRETCH + pitch.WARM_UP) + 17
    # noise with a line through it that jumps and ends: paths compete everywhere
    peaks = rng.uniform(0, 0.5, (2, frames, pitch.CELLS)).astype(np.float32)
    line = (30 + 20 * np.sin(np.arange(frames) / 40)).astype(int)
    peaks[0, np.arange(frames), line] = 0.8
    periods = rng.uniform(96, 768, peaks.shape).astype(np.float32)
    state = pitch.pitch_state(2, 2, torch.device("cpu"))
    contours, _, after = pitch.track(torch.from_numpy(peaks), torch.from_numpy(periods), state)
    for row in range(2):
        tracker = reference_pitch.PitchTracker(2)
        steps = [tracker.step(*both) for both in zip(peaks[row], periods[row], strict=True)]
        agree = np.array([step[0] for step in steps]) == contours[row].numpy()
        assert agree.mean() >= 0.995
        np.testing.assert_allclose(after.scores[row], tracker._scores, atol=1e-5)
    whole = pitch.track(torch.from_numpy(peaks), torch.from_numpy(periods), state)[0]
    pieces = []
    for start in range(0, frames, 50):
        some = slice(start, start + 50)
        piece, _, state = pitch.track(torch.from_numpy(peaks[:, some]), torch.from_numpy(periods[:, some]), state)
        pieces.append(piece)
    assert (torch.cat(pieces, dim=1) == whole).float().mean() >= 0.995


def test_taps_and_the_comb_filter():
    rng = np.random.default_rng(3)
    periods = rng.uniform(96, 768, (2, 6, 10)).astype(np.float32)
    delays = comb.tap_delays(torch.from_numpy(periods), 8)
    expected = np.array([[reference_comb.tap_delays(row, 8) for row in rows] for rows in periods.astype(np.float64)])
    close(delays, expected, 1e-8)
    x = rng.standard_normal((2, 12000)).astype(np.float32)
    fine = comb.upsample(torch.from_numpy(x))
    expected_fine = reference_comb.upsample(x)
    close(fine.transpose(1, 2).flatten(1), expected_fine, 1e-5)
    filtered, weights = comb.comb_filter(fine, 5000, delays, 960)
    for row in range(2):
        starts = 5000 + HOP_SAMPLES * np.arange(6)
        found, expected_weights = reference_comb.comb_filter(expected_fine[row : row + 1], starts, expected[row], 960)
        close(filtered[row], found[:, 0], 1e-5)
        close(weights[row], expected_weights, 1e-6)


def test_frames_of_a_batch_are_those_of_each_recording(both):
    reference, found = both
    for row, frames in enumerate(reference):
        scale = np.abs(frames.noisy).max()
        close(found.noisy[row], frames.noisy[:, 0], 1e-6 * (scale + 1))  # of samples with an offset of 0.02
        same = np.abs(found.periods_samples[row].numpy() / frames.periods_samples - 1) < 1e-3
        close(found.comb[row][same], frames.comb[same, 0], 1e-3 * scale)
        for block, columns in PARAMS.feature_slices.items():
            difference = np.abs(found.features[row].numpy() - frames.features)[same][:, columns]
            # of the order of one; logarithms of what is nearly silent multiply what single precision leaves
            assert difference.mean() < 1e-4, block
            assert np.quantile(difference, 0.999) < 1e-2, block


@pytest.mark.parametrize("lookahead_frames", [0, 1, 3])
@pytest.mark.parametrize("highpass_hz", [0.0, 30.0])
def test_other_look_aheads_and_no_high_pass(sounds, lookahead_frames, highpass_hz):
    params = replace(PARAMS, lookahead_frames=lookahead_frames, highpass_hz=highpass_hz)
    x = sounds[1][:1, : 60 * HOP_SAMPLES]
    found, _ = analyse(params, torch.from_numpy(x))
    expected = Analysis(params).push(x)
    close(found.comb[0], expected.comb[:, 0], 1e-3 * np.abs(expected.noisy).max())
    assert np.abs(found.features[0].numpy() - expected.features).mean() < 1e-4


def test_a_recording_in_pieces_is_the_whole(sounds, both):
    _, whole = both
    state, pieces = None, []
    for piece in torch.split(torch.from_numpy(sounds[1]), 90 * HOP_SAMPLES, dim=1):
        found, state = analyse(PARAMS, piece, state)
        pieces.append(found)
    same = torch.cat([piece.periods_samples for piece in pieces], dim=1) == whole.periods_samples
    assert same.float().mean() >= 0.99
    difference = (torch.cat([piece.features for piece in pieces], dim=1) - whole.features)[same].abs()
    assert difference.mean() < 1e-4


def test_exact_strengths():
    rng = np.random.default_rng(4)
    values = [*rng.uniform(-1, 1, (4, 1000)), rng.uniform(0, 2, 1000)]
    found = oracle.exact_strength(*map(torch.from_numpy, values))
    close(found, reference_exact_strength(*values), 1e-12)


def test_the_mix_is_the_reference_s(both):
    reference, found = both
    rng = np.random.default_rng(5)
    bands = reference_bands_of(PARAMS.band_edges)
    gains, strengths = rng.uniform(0, 1, (2, *found.noisy.shape[:2], PARAMS.bands)).astype(np.float32)
    mixed = enhance_spectrum(
        found.noisy,
        found.comb,
        *map(torch.from_numpy, (gains, strengths)),
        bands_of(PARAMS.band_edges, torch.device("cpu")),
    )
    for row in range(len(reference)):
        noisy, combed = (spectrum[row].numpy()[:, None] for spectrum in (found.noisy, found.comb))
        expected = reference_enhance_spectrum(noisy, combed, gains[row], strengths[row], bands, post_filter=False)
        close(mixed[row], expected[:, 0], 1e-5 * np.abs(expected).max())


def test_the_noise_shape_is_the_reference_s_in_pieces_too(both):
    _, batch = both
    frames, decided = shaped_frames(batch.noisy[:1], batch.comb[:1], PARAMS.lookahead_frames), decisions(batch)
    np.testing.assert_array_equal(frames.ahead[:, :-2], frames.noisy[:, 2:])
    np.testing.assert_array_equal(frames.after[:, :-1], frames.noisy[:, 1:])
    expected = reference_noise_shape(frames, decided, None)
    state, found = noise_shape_state(1, CPU), []
    for part in (slice(0, 37), slice(37, None)):
        piece = ShapedFrames(*(spectra[:, part] for spectra in frames))
        factors, state = noise_shape(piece, *(x[:, part] for x in decided), bands_of(PARAMS.band_edges, CPU), state)
        found.append(factors[0])
    np.testing.assert_allclose(torch.cat(found), expected, rtol=1e-3)
    low = bands_of(PARAMS.band_edges, CPU, 200)
    narrow = ShapedFrames(*(spectra[..., :200] for spectra in frames))
    below, _ = noise_shape(narrow, *decided, low, noise_shape_state(1, CPU))
    np.testing.assert_allclose(below[0, :, :157], expected[:, :157], rtol=1e-3)  # whole bands


def test_a_network_for_bins_is_the_reference_s_and_gradients_reach_it(both):
    _, batch = both
    frames, decided = shaped_frames(batch.noisy[:1], batch.comb[:1], PARAMS.lookahead_frames), decisions(batch)
    network = from_model(random_model(7, PARAMS, with_bins(PRESETS["tiny"])))
    expected = reference_noise_shape(frames, decided, bin_network(to_model(network)))
    state, bands = noise_shape_state(1, CPU), bands_of(PARAMS.band_edges, CPU)
    found, _ = noise_shape(frames, *decided, bands, state, network.shape_changes)
    np.testing.assert_allclose(found[0].detach(), expected, rtol=2e-3, atol=2e-3)
    assert np.abs(expected - reference_noise_shape(frames, decided, None)).max() > 0.1
    found.sum().backward()
    assert {name for name, weights in network.named_parameters() if weights.grad is not None} == {
        name for name in network.state_dict() if name.startswith("bin_")
    }


def decisions(batch):
    """Gains and strengths by chance, of the first sound [shape=(1, T, bands)]."""
    random = torch.Generator().manual_seed(5)
    shape = 1, batch.noisy.shape[1], PARAMS.bands
    return torch.rand(shape, generator=random).square(), torch.rand(shape, generator=random)


def reference_noise_shape(frames, decided, corrector):
    shape = NoiseShape(reference_bands_of(PARAMS.band_edges), corrector)
    coming = np.stack([x[0].numpy() for x in (frames.noisy, frames.after, frames.ahead)], axis=1)[:, :, None]
    rows = zip(coming, frames.comb[0, :, None].numpy(), *(x[0].numpy() for x in decided), strict=True)
    return np.array([shape.push(*row) for row in rows])


def test_sound_at_16_khz_is_what_lies_below_8():
    seconds = torch.arange(48_000) / 48_000
    tone = torch.sin(2 * torch.pi * 1000 * seconds)
    spectra = stft.analysis(stft.frames(tone[None]))
    found = stft.overlap_add(stft.narrow_synthesis(spectra))[0]
    wide = stft.overlap_add(stft.synthesis(spectra))[0]
    torch.testing.assert_close(found[320:-320], wide[::3][320:-320], rtol=0, atol=1e-3)


def test_gains_of_one_leave_the_sound_as_it_is(sounds):
    params = SignalParams()
    x = torch.from_numpy(sounds[1][:, : 50 * HOP_SAMPLES])
    frames, _ = analyse(params, x)
    ones = torch.ones(*frames.noisy.shape[:2], params.bands)
    y = enhance(frames.noisy, frames.comb, ones, torch.zeros_like(ones), params)
    late = params.latency_samples
    close(y[:, late:], x[:, : y.shape[1] - late], 1e-5)


def test_rows_are_those_that_training_makes_one_by_one(sounds):
    clean, noisy = sounds
    params = replace(PARAMS, feature_blocks=("relative_band_levels", "coherences", "pitch"))
    bandwidth_hz, cutoff_hz, limit_db = (
        (9_000.0, 24_000.0, 24_000.0),
        (24_000.0, 24_000.0, 12_000.0),
        (np.inf, 20.0, 5.0),
    )
    values = [torch.tensor(some, dtype=torch.float32) for some in (bandwidth_hz, cutoff_hz, limit_db)]
    mixtures = examples.Mixtures(torch.from_numpy(clean), torch.from_numpy(noisy), *values)
    found, _ = examples.examples(mixtures, params)
    layout = RowLayout(params)
    for row in range(3):
        mixture = Mixture(clean[row], noisy[row], bandwidth_hz[row], cutoff_hz[row], limit_db[row])
        features, gains, strengths = training_example(clean[row], noisy[row], layout.analysed, steady=True)
        gains = np.maximum(gains, 10 ** (-limit_db[row] / 20))
        gains[~known(mixture, params)] = UNKNOWN
        made = found.rows[row].numpy()
        is_known = gains >= 0
        np.testing.assert_array_equal(made[:, layout.gains] >= 0, is_known)
        np.testing.assert_array_equal(made[:, layout.speech][:, 0], is_speech(clean[row], params))
        assert np.abs(made[:, : layout.analysed.features] - features).mean() < 1e-4
        # frames of another pitch have other strengths: those are the few that the mean allows for
        assert np.abs(made[:, layout.gains] - gains).max() < 1e-3
        assert np.abs(made[:, layout.strengths] - strengths)[is_known].mean() < 2e-3


def test_a_mixture_that_is_not_finite_teaches_nothing(sounds):
    clean, noisy = (torch.from_numpy(sound[:, : 30 * HOP_SAMPLES].copy()) for sound in sounds)
    noisy[1, 5000] = torch.nan
    hz = torch.full((3,), 24_000.0)
    found, _ = examples.examples(examples.Mixtures(clean, noisy, hz, hz, torch.full((3,), torch.inf)), PARAMS)
    layout = RowLayout(PARAMS)
    assert found.rows.isfinite().all()
    assert (found.rows[1, :, layout.gains] == UNKNOWN).all()
    assert (found.rows[0, :, layout.gains] >= 0).any()


def test_levels(sounds):
    found = levels.active_rms(torch.from_numpy(sounds[0]))
    np.testing.assert_allclose(found, [active_rms(row) for row in sounds[0]], rtol=1e-5)
    assert levels.active_rms(torch.zeros(1, 960)).item() == 0
