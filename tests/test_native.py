"""The C core against the definition in NumPy, box by box: each gets the same input as its counterpart."""

import copy
import gc
import itertools
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from models import random_model
from percepnet import native, native_library, native_model
from percepnet.errors import AudioError, PercepNetError
from percepnet.model import Model, dequantise, quantise
from percepnet.native_model import core_model
from percepnet.params import HOP_SAMPLES, SignalParams
from percepnet.reference import enhancer as reference
from percepnet.reference import pitch
from percepnet.reference.analysis import Analysis
from percepnet.reference.bands import bands_of
from percepnet.reference.highpass import Highpass, undo_phase
from percepnet.reference.mix import enhance_spectrum
from percepnet.reference.network import Network
from percepnet.reference.noise_shape import NoiseShape
from percepnet.reference.stream import Stream as StreamDefinition
from percepnet.reference.windows import overlap_add
from voices import glide, noise

try:
    native.library()
except native.CoreMissing as missing:
    pytest.skip(str(missing), allow_module_level=True)

CLIPS = Path(__file__).parents[1] / "examples" / "clips" / "noisy"
SECONDS = 3


def clip(name):
    x, _ = soundfile.read(CLIPS / name, frames=SECONDS * 48_000, dtype="float32")
    return x[None, : len(x) // HOP_SAMPLES * HOP_SAMPLES]


def synthetic(channels=1, seconds=1.0):
    voice, _ = glide(11, seconds)
    voices = [voice / (1 + channel) + noise(channel, len(voice), 0.01) for channel in range(channels)]
    return np.stack(voices).astype(np.float32)


SIGNALS = {
    "sea": lambda: clip("sea_female.flac"),
    "helicopter": lambda: clip("helicopter_male.flac"),
    "two channels": lambda: synthetic(2),
}


@pytest.fixture(
    scope="module", params=list(itertools.product(SIGNALS, [(0, 30.0), (2, 0.0), (2, 30.0), (3, 30.0)])), ids=str
)
def run(request):
    """A signal, what the core found in each of its hops, and what it made of it."""
    signal, (lookahead, highpass_hz) = request.param
    x = SIGNALS[signal]()
    model = random_model(1, SignalParams(lookahead, highpass_hz=highpass_hz))
    enhancer = native.FrameEnhancer(model, len(x), exact=True, post_filter=True)
    outputs, frames = [], []
    for start in range(0, x.shape[1], HOP_SAMPLES):
        outputs.append(enhancer.process(x[:, start : start + HOP_SAMPLES]))
        frames.append(enhancer.inspect())
    found = {name: np.stack([getattr(frame, name) for frame in frames]) for name in native.Frame._fields}
    reference = Analysis(model.params, len(x)).push(x, found["tap_delays"])
    return SimpleNamespace(x=x, y=np.concatenate(outputs, axis=1), model=model, reference=reference, **found)


def assert_close(found, expected, relative=1e-4):
    """Frame by frame, in the norm of the frame."""
    axes = tuple(range(1, found.ndim))
    error = np.sqrt((np.abs(found - expected) ** 2).sum(axis=axes))
    size = np.sqrt((np.abs(expected) ** 2).sum(axis=axes))
    worst = (error / (size + 1e-9)).max()
    assert worst < relative, f"{worst:.2e} of the norm"


def test_stft(run):
    assert_close(run.noisy, run.reference.noisy, 1e-5)


def test_windows_that_are_given_out(run):
    assert_close(run.unturned, run.reference.unturned, 1e-5)
    assert_close(run.combs, run.reference.combs)


def test_pitch_correlation(run):
    heard = Highpass(run.model.params.highpass_hz).push(run.x)
    padded = np.pad(heard, [(0, 0), (pitch.HISTORY_SAMPLES, 0)])
    np.testing.assert_allclose(run.lags, pitch.correlation(padded), atol=1e-4)


def test_pitch_decisions(run):
    """Of the same correlations the same path; of the same signal nearly always."""
    tracker = pitch.PitchTracker(run.model.params.lookahead_frames)
    steps = [tracker.step(peaks, periods) for peaks, periods in zip(*pitch.cells(run.lags), strict=True)]
    np.testing.assert_allclose(run.period_samples, [path[0] for path, _ in steps], rtol=1e-5)
    np.testing.assert_allclose(run.correlation, [correlation for _, correlation in steps], atol=1e-6)
    tracked = Analysis(run.model.params, len(run.x)).push(run.x)
    same = np.abs(run.period_samples / tracked.periods_samples - 1) < 1e-4
    assert same.mean() > 0.99
    np.testing.assert_allclose(run.tap_delays[same], tracked.tap_delays[same], atol=0.05)


def test_comb(run):
    np.testing.assert_allclose(run.tap_weights, run.reference.tap_weights, atol=1e-6)
    assert_close(run.comb, run.reference.comb)


def test_features(run):
    bands = run.model.params.bands
    np.testing.assert_allclose(run.features[:, : 2 * bands], run.reference.features[:, : 2 * bands], atol=1e-4)
    np.testing.assert_allclose(run.features[:, -2], np.log2(run.period_samples / 272), atol=1e-6)
    np.testing.assert_allclose(run.features[:, -1], 2 * run.correlation - 1, atol=1e-6)


def test_network(run):
    gains, strengths = Network(run.model).run(run.features)
    np.testing.assert_allclose(run.gains, gains, atol=1e-4)
    np.testing.assert_allclose(run.strengths, strengths, atol=1e-4)
    assert gains.std() > 0.1


def test_mix_and_post_filter(run):
    bands = bands_of(run.model.params.band_edges)
    shape, analysis = NoiseShape(bands), Analysis(run.model.params, len(run.x), gives_out=False)
    further = []
    for i, (comb, gains, strengths) in enumerate(zip(run.comb, run.gains, run.strengths, strict=True)):
        hop = run.x[:, i * HOP_SAMPLES : (i + 1) * HOP_SAMPLES]
        analysis.push(hop, run.tap_delays[i : i + 1])
        further.append(shape.push(analysis.coming, comb, gains, strengths))
    unturned = run.unturned, run.combs * undo_phase(run.model.params.highpass_hz)
    mixed = enhance_spectrum(run.noisy, run.comb, run.gains, run.strengths, bands, unturned=unturned)
    assert_close(run.enhanced, np.array(further)[:, None, None] * mixed)


def test_synthesis(run):
    np.testing.assert_allclose(run.y, overlap_add(run.enhanced), atol=1e-6)


# The whole system.


@pytest.mark.parametrize(
    ("params", "settings"),
    [
        (SignalParams(0), {}),
        (SignalParams(1), {"post_filter": True}),
        (SignalParams(2), {"attenuation_limit_db": 12.0}),
        (SignalParams(3), {"comb_filter": False}),
        (SignalParams(band_edges=tuple(range(0, 480, 10))), {}),
        (SignalParams(band_edges=(0, 40, 480)), {}),
        (SignalParams(band_edges=(0, 1)), {}),
        (SignalParams(2, highpass_hz=30.0), {"post_filter": True, "attenuation_limit_db": 12.0}),
        (SignalParams(3, highpass_hz=30.0), {"one_window": True, "post_filter": True}),
        (SignalParams(2, highpass_hz=30.0, band_edges=(0, 1)), {"one_window": True}),
        (SignalParams(2, highpass_hz=30.0, band_edges=(0, 1, 2)), {}),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_setting_gives_what_numpy_gives(params, settings, channels):
    x = synthetic(channels, 0.6)
    model = random_model(2, params)
    found = native.FrameEnhancer(model, channels, exact=True, **settings).process(x)
    expected = reference.FrameEnhancer(model, channels, **settings).process(x)
    assert np.linalg.norm(found - expected) < 1e-4 * np.linalg.norm(expected)


def decisions(enhancer, x):
    gains, strengths, inputs = [], [], []
    for start in range(0, x.shape[1], HOP_SAMPLES):
        enhancer.process(x[:, start : start + HOP_SAMPLES])
        frame = enhancer.inspect()
        gains.append(frame.gains)
        strengths.append(frame.strengths)
        inputs.append(frame.features)
    return np.array(gains), np.array(strengths), np.array(inputs)


def calm_model(seed, preset="small"):
    """Weights so small that errors do not grow from frame to frame."""
    model = random_model(seed, preset=preset)
    for weight in model.weights.values():
        np.multiply(weight, 0.3, out=weight)
    return model


def test_larger_network():
    model = calm_model(3)
    gains, strengths, inputs = decisions(native.FrameEnhancer(model, exact=True), clip("sea_female.flac")[:, :9600])
    expected_gains, expected_strengths = Network(model).run(inputs)
    np.testing.assert_allclose(gains, expected_gains, atol=1e-4)
    np.testing.assert_allclose(strengths, expected_strengths, atol=1e-4)


def test_8_bits_stay_close_to_single_precision():
    x = clip("sea_female.flac")[:, :48_000]
    model = calm_model(4)
    exact_gains, exact_strengths, _ = decisions(native.FrameEnhancer(model, exact=True), x)
    gains, strengths, _ = decisions(native.FrameEnhancer(model), x)
    assert exact_gains.std() > 0.1
    assert 0 < np.abs(gains - exact_gains).max() < 0.02
    assert np.abs(strengths - exact_strengths).max() < 0.02


def test_weights_that_are_8_bits_already_lose_nothing():
    """The rounding of a rounded matrix: the same integers, and with them the same decisions."""
    model = calm_model(4)
    names = model.architecture.int8_names(model.params)
    stored = {n: dequantise(*quantise(w)) if n in names else w for n, w in model.weights.items()}
    x = clip("sea_female.flac")[:, :24_000]
    found = decisions(native.FrameEnhancer(Model(model.params, model.architecture, stored)), x)
    np.testing.assert_allclose(found[0], decisions(native.FrameEnhancer(model), x)[0], atol=1e-5)


def test_all_kernels_give_the_same_bits():
    x = synthetic()
    model = random_model(5, preset="small")
    assert native.kernels()[-1] == "portable"
    outputs = [native.FrameEnhancer(model, kernel=kernel).process(x) for kernel in native.kernels()]
    for output in outputs:
        np.testing.assert_array_equal(output, outputs[0])
    with pytest.raises(PercepNetError, match=r"'abacus': this machine has .*portable"):
        native.FrameEnhancer(model, kernel="abacus")


def test_any_number_of_hops_a_call_gives_the_same_bits():
    x = synthetic(2)
    enhancer = native.FrameEnhancer(random_model(), 2)
    whole = enhancer.process(x)
    enhancer.reset()
    parts = [enhancer.process(part) for part in np.split(x, [480, 480 * 3, 480 * 20, 480 * 20], axis=1)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)
    assert enhancer.latency_samples == 1440


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("kernel", native.kernels())
def test_blocks_give_the_same_bits_as_single_hops(kernel, exact):
    """Of any length, also cut unevenly, after others and after a reset; `small` has layers of every width."""
    x = synthetic(2)
    model = random_model(6, preset="small")
    expected = native.FrameEnhancer(model, 2, exact=exact, kernel=kernel, block_hops=1).process(x)
    for block_hops in (2, 3, 16, 50):
        enhancer = native.FrameEnhancer(model, 2, exact=exact, kernel=kernel, block_hops=block_hops)
        np.testing.assert_array_equal(enhancer.process(x), expected)
        enhancer.reset()
        cuts = HOP_SAMPLES * np.cumsum([1, 9, 2, 17, 1, 31])
        parts = [enhancer.process(part) for part in np.split(x, cuts, axis=1)]
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), expected)
        np.testing.assert_array_equal(
            enhancer.inspect().gains, decisions(native.FrameEnhancer(model, 2, exact=exact), x)[0][-1]
        )


@pytest.mark.parametrize("density", [0.0, 0.1, 0.6, 0.9])
@pytest.mark.parametrize("kernel", native.kernels())
def test_zero_blocks_are_left_out_without_a_trace(kernel, density):
    """The same with zeros in memory: a bias far below one step keeps the blocks and rounds away."""
    model = random_model(7, preset="small")
    x = synthetic()
    rng = np.random.default_rng(8)
    dense, sparse = {}, {}
    for name, weight in model.weights.items():
        dense[name] = sparse[name] = weight
        if name in model.architecture.int8_names(model.params):
            keep = rng.random((-(-weight.shape[0] // 16), -(-weight.shape[1] // 4))) < density
            mask = np.kron(keep, np.ones((16, 4)))[: weight.shape[0], : weight.shape[1]]
            mask = mask.reshape(mask.shape + (1,) * (weight.ndim - 2))
            sparse[name] = (weight * mask).astype(np.float32)
    sparse_model = Model(model.params, model.architecture, sparse)
    found = native.FrameEnhancer(sparse_model, kernel=kernel, block_hops=1).process(x)
    np.testing.assert_array_equal(native.FrameEnhancer(sparse_model, kernel=kernel).process(x), found)
    np.testing.assert_array_equal(native.FrameEnhancer(sparse_model, kernel="portable").process(x), found)
    size = core_model(sparse_model, False, kernel).memory_bytes
    full = core_model(model, False, kernel).memory_bytes
    assert (size < full) == (density < 0.75)


def test_room_for_blocks_is_taken_only_by_long_chunks():
    enhancer = native.FrameEnhancer(random_model())
    enhancer.process(synthetic()[:, : 7 * HOP_SAMPLES])
    assert enhancer._block is None
    enhancer.process(synthetic())
    assert enhancer._block is not None
    for hops in (0, 1025):
        with pytest.raises(PercepNetError, match="give 1 to 1024"):
            native.FrameEnhancer(random_model(), block_hops=hops)


def test_silence_after_speech_is_no_slower():
    """Numbers too small to be normal take ten times longer; they are zero."""
    x = np.pad(synthetic(), [(0, 0), (0, 600 * HOP_SAMPLES)])
    enhancer = native.FrameEnhancer(random_model(), block_hops=1)
    enhancer.process(x)
    frame = enhancer.inspect()
    for values in (frame.comb, frame.enhanced, frame.noisy):
        parts = np.abs(values.view(np.float32))
        assert not ((parts > 0) & (parts < np.finfo(np.float32).tiny)).any()


def test_arrays_that_are_views_are_taken_as_what_they_mean():
    x = synthetic(2)
    model = random_model()
    expected = native.FrameEnhancer(model, 2).process(x)
    np.testing.assert_array_equal(native.FrameEnhancer(model, 2).process(np.asfortranarray(x)), expected)
    np.testing.assert_array_equal(native.FrameEnhancer(model, 2).process(x.astype(np.float64)), expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1e5])
def test_a_hop_that_is_no_audio_is_silence(bad):
    x = synthetic()
    damaged, silenced = x.copy(), x.copy()
    damaged[0, 10_000] = bad
    silenced[0, 9600:10_080] = 0
    enhancer = native.FrameEnhancer(random_model())
    found = enhancer.process(damaged)
    assert enhancer.refused_hops == 1
    enhancer.reset()
    np.testing.assert_array_equal(found, enhancer.process(silenced))
    assert enhancer.refused_hops == 0


# Streams of any rate against their definition.

RATES_HZ = [8000, 11025, 16000, 44100, 44101, 48000, 96000, 192000]


def uniform(*shape):
    return np.random.default_rng(shape[-1]).uniform(-0.3, 0.3, shape).astype(np.float32)


def played(stream, x, sizes=()):
    cuts = np.minimum(np.cumsum([0, *sizes]), x.shape[1])
    parts = [stream.process(x[:, start:end]) for start, end in itertools.pairwise([*cuts, x.shape[1]])]
    return np.concatenate([*parts, stream.flush(x.dtype)], axis=1)


def assert_same_signal(found, expected):
    assert found.shape == expected.shape
    found, expected = np.float64(found), np.float64(expected)
    error = np.linalg.norm(found - expected)
    assert error < 1e-4 * np.linalg.norm(expected), f"{error / np.linalg.norm(expected):.1e} of the norm"


def audible(rate_hz, channels=1, seconds=0.6):
    """Speech-like over all bands: those without any signal hold rounding errors, which decisions would follow."""
    voice, _ = glide(11, seconds)
    time_s = np.arange(int(rate_hz * seconds)) / rate_hz
    voice = np.interp(time_s, np.arange(len(voice)) / 48_000, voice)
    voices = [voice / (1 + channel) + noise(channel, len(voice), 0.02) for channel in range(channels)]
    return np.stack(voices).astype(np.float32)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize(("channels", "link_channels"), [(1, True), (2, False), (3, True)])
def test_stream_is_its_definition_at_every_rate_and_in_every_chunking(rate_hz, channels, link_channels):
    model = calm_model(2, preset="tiny")
    x = audible(rate_hz, channels)
    stream = native.Stream(model, rate_hz, channels, link_channels=link_channels, exact=True)
    definition = StreamDefinition(model, rate_hz, channels, link_channels=link_channels)
    assert stream.latency_samples == definition.latency_samples
    expected = played(definition, x)
    whole = played(stream, x)
    assert_same_signal(whole, expected)
    for sizes in ([1, 0, 7, 333, rate_hz // 50 + 1], [rate_hz // 100] * 30, [1] * 500 + [rate_hz // 3]):
        np.testing.assert_array_equal(played(stream, x, sizes), whole)
    given_back = [(stream.process(part).shape, definition.process(part).shape) for part in np.array_split(x, 9, axis=1)]
    assert all(found == expected for found, expected in given_back)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("link_channels", [False, True])
def test_bypass_is_the_input_to_the_bit(rate_hz, link_channels):
    x = uniform(2, rate_hz // 4)
    stream = native.Stream(random_model(), rate_hz, 2, link_channels=link_channels, bypass=True)
    late = np.pad(x, [(0, 0), (stream.latency_samples, 0)])
    for sizes in ([], [1, 0, 333, rate_hz // 100], [rate_hz // 100] * 9):
        np.testing.assert_array_equal(played(stream, x, sizes), late)
    integers = (32768 * x).astype(np.int16)
    np.testing.assert_array_equal(played(stream, integers)[:, stream.latency_samples :], integers)


@pytest.mark.parametrize("rate_hz", [16000, 44101, 48000])
@pytest.mark.parametrize("block_samples", [0, 64])
def test_changes_while_it_runs_are_those_of_the_definition(rate_hz, block_samples):
    model = calm_model(3, preset="tiny")
    x = audible(rate_hz)
    x = x[:, : x.shape[1] // 640 * 640]
    outputs = []
    for stream in (
        native.Stream(model, rate_hz, exact=True, block_samples=block_samples),
        StreamDefinition(model, rate_hz, block_samples=block_samples),
    ):
        parts = []
        for number, part in enumerate(np.split(x, np.arange(640, x.shape[1], 640), axis=1)):
            if number in (3, 8):
                stream.bypass = number == 3
            if number in (6, 11):
                stream.attenuation_limit_db = 6.0 if number == 6 else None
            parts.append(stream.process(part))
        assert not stream.bypass
        outputs.append(np.concatenate([*parts, stream.flush()], axis=1))
    assert_same_signal(*outputs)


@pytest.mark.parametrize(("rate_hz", "block_samples"), [(48000, 480), (48000, 128), (44101, 1), (8000, 64)])
def test_blocks_of_samples_are_those_of_the_definition(rate_hz, block_samples):
    model = calm_model(3, preset="tiny")
    x = audible(rate_hz, seconds=0.3)
    x = x[:, : x.shape[1] // block_samples * block_samples]
    stream = native.Stream(model, rate_hz, exact=True, block_samples=block_samples)
    definition = StreamDefinition(model, rate_hz, block_samples=block_samples)
    assert stream.latency_samples == definition.latency_samples
    sizes = [block_samples, 0, 3 * block_samples]
    assert stream.process(x[:, : 2 * block_samples]).shape == (1, 2 * block_samples)
    stream.reset()
    assert_same_signal(played(stream, x, sizes), played(definition, x, sizes))
    if block_samples > 1:
        with pytest.raises(AudioError, match="multiple"):
            stream.process(x[:, :1])


@pytest.mark.parametrize("rate_hz", [16000, 44101, 48000])
@pytest.mark.parametrize("link_channels", [False, True])
def test_hops_that_are_no_audio_are_those_of_the_definition(rate_hz, link_channels):
    model = calm_model(3, preset="tiny")
    x = audible(rate_hz, 3)
    for channel, position, bad in [(0, 0.1, np.nan), (1, 0.1, -np.inf), (2, 0.25, 1.5e4)]:
        x[channel, int(position * rate_hz)] = bad
    stream = native.Stream(model, rate_hz, 3, link_channels=link_channels, exact=True)
    definition = StreamDefinition(model, rate_hz, 3, link_channels=link_channels)
    found, expected = stream.process(x), definition.process(x)
    assert stream.refused_hops == definition.refused_hops == (2 if link_channels else 3)
    assert_same_signal(found, expected)
    stream.bypass = definition.bypass = True
    stream.reset()
    definition.reset()
    assert stream.refused_hops == 0
    np.testing.assert_array_equal(played(stream, x), played(definition, x))


def test_int16_is_that_of_the_definition():
    model = calm_model(3, preset="tiny")
    x = (20000 * np.clip(audible(16000, 2), -1, 1)).astype(np.int16)
    stream, definition = native.Stream(model, 16000, 2, exact=True), StreamDefinition(model, 16000, 2)
    found, expected = played(stream, x), played(definition, x)
    assert found.dtype == np.int16
    assert np.abs(found.astype(int) - expected).max() <= 2
    floats = played(stream, x / np.float32(32768))
    np.testing.assert_array_equal(found, np.clip(np.rint(32768 * floats), -32768, 32767))


@pytest.mark.parametrize(
    "x", [np.zeros((1, 480), "f4"), np.zeros((2, 480)), np.zeros(480, "f4"), np.zeros((2, 9), ">i2")]
)
def test_streams_read_nothing_that_is_not_there(x):
    stream = native.Stream(random_model(), channels=2)
    for process in (stream.process, lambda x: native.Batch(stream.model).process([stream], [x])):
        with pytest.raises(AudioError, match=r"give float32 or int16 of \(2, samples\)"):
            process(x)


def test_streams_outside_of_what_the_library_can_do_are_refused():
    model = random_model()
    for options in ({"sample_rate_hz": 192_001}, {"channels": 1025}, {"attenuation_limit_db": -3.0}):
        with pytest.raises(PercepNetError) as caught:
            native.Stream(model, **options)
        assert str(caught.value)


# Its lifetime.


def test_closed_enhancer_refuses_everything():
    enhancer = native.FrameEnhancer(random_model())
    enhancer.close()
    hop = np.zeros((1, HOP_SAMPLES), np.float32)
    for call in (enhancer.close, enhancer.reset, enhancer.inspect, lambda: enhancer.process(hop)):
        with pytest.raises(PercepNetError, match="closed"):
            call()


def test_second_thread_is_refused_and_disturbs_nothing():
    x = np.tile(synthetic(), 20)
    hop = x[:, :HOP_SAMPLES]
    enhancer = native.FrameEnhancer(random_model())
    expected = enhancer.process(x)
    enhancer.reset()
    outputs = []
    worker = threading.Thread(target=lambda: outputs.append(enhancer.process(x)))
    worker.start()
    refused = 0
    while not enhancer._lock.locked() and not outputs:
        pass
    while worker.is_alive():
        for call in (lambda: enhancer.process(hop), enhancer.close):
            if enhancer._lock.locked():
                with pytest.raises(PercepNetError, match="thread"):
                    call()
                refused += 1
        worker.join(0.02)
        if refused > 3:
            worker.join()
    assert refused
    np.testing.assert_array_equal(outputs[0], expected)


def test_streams_share_a_model_and_outlive_their_makers():
    model = random_model(4)
    first, second = native.FrameEnhancer(model), native.FrameEnhancer(model)
    assert core_model(model, False, None) is core_model(model, False, None)
    x = synthetic()
    expected = first.process(x)
    twin = copy.copy(second)
    del first, second, model
    gc.collect()
    np.testing.assert_array_equal(twin.process(x), expected)


def test_models_go_with_their_last_stream():
    before = len(native_model._models)
    enhancer = native.FrameEnhancer(random_model(5))
    assert len(native_model._models) == before + 1
    del enhancer
    gc.collect()
    assert len(native_model._models) == before


def test_bad_shapes_are_refused():
    enhancer = native.FrameEnhancer(random_model(), 2)
    for shape in ((1, 480), (2, 481), (480,), (2, 2, 480)):
        with pytest.raises(AudioError, match=r"give \(2, a multiple of 480\)"):
            enhancer.process(np.zeros(shape, np.float32))
    assert enhancer.process(np.zeros((2, 0), np.float32)).shape == (2, 0)


def test_impossible_settings_are_refused():
    with pytest.raises(PercepNetError, match="channels"):
        native.FrameEnhancer(random_model(), 0)
    for options in ({"sample_rate_hz": 7999}, {"block_samples": -1}, {"attenuation_limit_db": np.nan}):
        with pytest.raises(PercepNetError, match=next(iter(options))):
            native.Stream(random_model(), **options)


def test_missing_or_foreign_library_is_named(tmp_path, monkeypatch):
    native.library.cache_clear()
    try:
        monkeypatch.setattr(native_library, "LIBRARY", tmp_path / "_core.so")
        with pytest.raises(native.CoreMissing, match="not built"):
            native.library()
        native_library.LIBRARY.write_bytes(b"no library")
        with pytest.raises(native.CoreMissing, match="cannot be loaded"):
            native.library()
        monkeypatch.undo()
        monkeypatch.setattr(native_library, "ABI", native_library.ABI + 1)
        with pytest.raises(native.CoreMissing, match="interface"):
            native.library()
    finally:
        native.library.cache_clear()
