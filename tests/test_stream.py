import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import identity_system
import percepnet
from levels import level_db
from percepnet import AudioError, Enhancer, ModelError, PercepNetError, enhance
from percepnet.engine import CORE, NUMPY, VARIABLE, NumpyStream, engine, open_stream
from percepnet.model import Model
from percepnet.stream import enhance_blocks

RATES_HZ = [8000, 8001, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 44101, 48000, 88200, 96000, 192000]


@pytest.fixture(autouse=True, scope="module")
def _identity() -> Any:
    with pytest.MonkeyPatch.context() as monkeypatch:
        identity_system.install(monkeypatch)
        yield


def noise(*shape: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(shape[-1]).uniform(-0.5, 0.5, shape).astype(np.float32)


def stream(enhancer: Enhancer, x: npt.NDArray[Any], sizes: list[int]) -> npt.NDArray[Any]:
    parts = []
    start = 0
    for size in sizes:
        parts.append(enhancer.process(x[..., start : start + size]))
        start += size
    return np.concatenate([*parts, enhancer.process(x[..., start:]), enhancer.flush()], axis=-1)


# At 48 kHz nothing is converted, and the identity system is a delay to the bit.


def test_identity_system_is_an_exact_delay_at_48_khz() -> None:
    x = noise(5003)
    y = stream(Enhancer(), x, [1, 0, 479, 960])
    assert len(y) == len(x) + 1440
    np.testing.assert_array_equal(y[:1440], 0)
    np.testing.assert_array_equal(y[1440:], x)
    np.testing.assert_array_equal(enhance(x, 48000), x)


@pytest.mark.parametrize("samples", [1, 2, 479, 480, 481, 1439, 1441])
@pytest.mark.parametrize("rate_hz", [8000, 44100, 48000])
def test_any_length_keeps_its_length(samples: int, rate_hz: int) -> None:
    assert enhance(noise(samples), rate_hz).shape == (samples,)
    assert enhance(noise(3, samples), rate_hz).shape == (3, samples)


def test_nothing_gives_nothing_but_the_delay() -> None:
    assert enhance(np.zeros((2, 0)), 16000).shape == (2, 0)
    enhancer = Enhancer(16000)
    assert enhancer.process(np.zeros(0, np.float32)).shape == (0,)
    np.testing.assert_array_equal(enhancer.flush(), np.zeros(enhancer.latency_samples))


# Chunks.


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_every_chunking_gives_the_same_bits(rate_hz: int) -> None:
    x = noise(2, rate_hz // 5 + 7)
    enhancer = Enhancer(rate_hz, 2)
    whole = stream(enhancer, x, [])
    assert whole.shape == (2, x.shape[1] + enhancer.latency_samples)
    for sizes in ([1] * 300 + [0, 997], [rate_hz // 100] * 15, [0, 3, rate_hz // 7]):
        np.testing.assert_array_equal(stream(enhancer, x, sizes), whole)
    np.testing.assert_array_equal(enhance(x, rate_hz), whole[:, enhancer.latency_samples :])


@settings(max_examples=40, deadline=None)
@given(
    rate_hz=st.sampled_from(RATES_HZ),
    samples=st.integers(0, 4000),
    sizes=st.lists(st.integers(0, 1500), max_size=12),
)
def test_any_chunking_gives_the_same_bits(rate_hz: int, samples: int, sizes: list[int]) -> None:
    x = noise(samples)
    enhancer = Enhancer(rate_hz)
    chunked = stream(enhancer, x, sizes)
    assert len(chunked) == samples + enhancer.latency_samples
    np.testing.assert_array_equal(chunked, stream(enhancer, x, []))


@pytest.mark.parametrize("rate_hz", [8000, 12000, 16000, 24000, 32000, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("hops", [1, 2, 3])
def test_whole_hops_return_as_much_as_they_take(rate_hz: int, hops: int) -> None:
    enhancer = Enhancer(rate_hz)
    chunk = noise(hops * rate_hz // 100)
    assert {len(enhancer.process(chunk)) for _ in range(12)} == {len(chunk)}


@pytest.mark.parametrize(("rate_hz", "samples"), [(22050, 441), (11025, 441)])  # 20 and 40 ms
def test_rates_without_whole_hops_do_so_at_whole_multiples(rate_hz: int, samples: int) -> None:
    enhancer = Enhancer(rate_hz)
    assert {len(enhancer.process(noise(samples))) for _ in range(12)} == {samples}


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_listener_waits_less_than_one_hop(rate_hz: int) -> None:
    enhancer = Enhancer(rate_hz)
    taken = given_back = 0
    for size in [1, 7, 333, rate_hz // 50, 2000]:
        taken += size
        given_back += len(enhancer.process(noise(size)))
        assert 0 <= taken - given_back < rate_hz / 100


# Rates.


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_output_lines_up_with_input(rate_hz: int) -> None:
    spectrum = np.fft.rfft(noise(rate_hz))
    spectrum[int(0.93 * min(rate_hz, 48000) / 2) :] = 0
    x = np.fft.irfft(spectrum, rate_hz)
    error = (enhance(x, rate_hz) - x)[rate_hz // 4 : -rate_hz // 4]
    assert level_db(error) < level_db(x) - 95


@pytest.mark.parametrize(
    ("rate_hz", "frequency_hz"),
    [(8000, 3700), (16000, 7500), (22050, 10300), (32000, 15000), (44100, 19000), (44100, 20500), (96000, 22500)],
)
def test_nothing_is_lost_near_the_edge_of_the_band(rate_hz: int, frequency_hz: float) -> None:
    x = 0.5 * np.sin(2 * np.pi * frequency_hz * np.arange(rate_hz) / rate_hz)
    middle = slice(rate_hz // 4, -rate_hz // 4)
    assert level_db(enhance(x, rate_hz)[middle]) == pytest.approx(level_db(x[middle]), abs=0.1)


def test_above_48_khz_only_the_band_above_24_khz_is_dropped() -> None:
    time_s = np.arange(96000) / 96000
    audible, ultrasonic = np.sin(2 * np.pi * 5000 * time_s), np.sin(2 * np.pi * 30000 * time_s)
    y = enhance(0.4 * audible + 0.4 * ultrasonic, 96000)
    assert level_db((y - 0.4 * audible)[20000:-20000]) < -90


def test_latency_is_that_of_the_signal_path_and_of_two_filters() -> None:
    assert {rate: Enhancer(rate).latency_samples for rate in (48000, 16000, 8000)} == {
        48000: 1440,
        16000: 694,
        8000: 454,
    }
    assert all(Enhancer(rate).latency_samples / rate < 0.057 for rate in RATES_HZ)


@pytest.mark.parametrize("rate", [7999, 192001, 0, -48000])
def test_rates_out_of_range_are_refused(rate: int) -> None:
    with pytest.raises(AudioError, match=f"sample rate in Hz is {rate}: it must be 8000 to 192000"):
        enhance(noise(10), rate)


def test_rates_that_are_no_whole_number_are_refused() -> None:
    with pytest.raises(AudioError, match=r"sample rate in Hz is 16000\.5: give a whole number"):
        Enhancer(16000.5)  # type: ignore[arg-type]
    assert enhance(noise(10), np.int32(48000)).shape == (10,)


# State.


@pytest.mark.parametrize("rate_hz", [16000, 48000])
def test_flush_and_reset_start_afresh(rate_hz: int) -> None:
    x = noise(3001)
    enhancer = Enhancer(rate_hz)
    first = stream(enhancer, x, [100])
    np.testing.assert_array_equal(stream(enhancer, x, [7]), first)
    enhancer.process(noise(777))
    enhancer.reset()
    np.testing.assert_array_equal(stream(enhancer, x, []), first)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_bad_chunk_is_refused_and_leaves_the_stream_as_it_was(value: float) -> None:
    x = noise(2000)
    enhancer = Enhancer(48000)
    parts = [enhancer.process(x[:1000])]
    bad = x[1000:].copy()
    bad[480] = value
    with pytest.raises(AudioError, match=r"NaN or infinity at 0\.030833 s: replace it before process\(\).*nan_to_num"):
        enhancer.process(bad)
    parts += [enhancer.process(x[1000:]), enhancer.flush()]
    np.testing.assert_array_equal(np.concatenate(parts)[1440:], x)


def test_bad_recording_is_refused_with_its_position() -> None:
    x = np.zeros((2, 48000), np.float32)
    x[1, 24000] = np.nan
    with pytest.raises(AudioError, match=r"NaN or infinity at 1\.500000 s: cut or repair"):
        enhance(x, 16000)


def test_generator_of_blocks_removes_the_delay() -> None:
    x = noise(3, 10_000)
    blocks = [x[:, :100], x[:, 100:101], x[:, 101:]]
    np.testing.assert_array_equal(np.concatenate(list(enhance_blocks(Enhancer(48000, 3), blocks)), axis=1), x)


# Channels and types.


def test_channels_must_be_those_of_the_enhancer() -> None:
    with pytest.raises(
        AudioError, match=r"shape \(1000,\) has 1 channels, and the enhancer has 2: give \(2, samples\)"
    ):
        Enhancer(48000, 2).process(noise(1000))
    with pytest.raises(AudioError, match="number of channels is 0"):
        Enhancer(48000, 0)
    with pytest.raises(AudioError, match="transpose"):
        enhance(np.zeros((48000, 2)), 48000)


@pytest.mark.parametrize(("link", "expected"), [(True, [3]), (False, [1, 1, 1])])
def test_linked_channels_share_one_frame_enhancer(link: bool, expected: list[int]) -> None:
    enhancer = Enhancer(16000, 3, link_channels=link)
    assert isinstance(enhancer._stream, NumpyStream)
    assert [inside.channels for inside in enhancer._stream._frame_enhancers] == expected  # type: ignore[attr-defined]
    x = noise(3, 4000)
    np.testing.assert_array_equal(stream(enhancer, x, [50]), stream(Enhancer(16000, 3), x, []))


def test_settings_reach_the_signal_path() -> None:
    enhancer = Enhancer(comb_filter=False, post_filter=True, attenuation_limit_db=12.0)
    expected = {"comb_filter": False, "post_filter": True, "one_window": False, "attenuation_limit_db": 12.0}
    assert isinstance(enhancer._stream, NumpyStream)
    assert enhancer._stream._frame_enhancers[0].settings == expected  # type: ignore[attr-defined]


@pytest.mark.parametrize("limit_db", [-1.0, np.nan])
def test_attenuation_limit_must_be_a_limit(limit_db: float) -> None:
    with pytest.raises(PercepNetError, match=r"attenuation limit is .* dB: it must be 0 or more"):
        enhance(noise(10), 48000, attenuation_limit_db=limit_db)


def test_model_is_loaded_by_name_or_taken_as_it_is() -> None:
    with pytest.raises(ModelError, match="nowhere: not a model file"):
        Enhancer(model="nowhere")
    model = identity_system.IdentityModel()
    model.params = SimpleNamespace(latency_samples=480, highpass_hz=0.0)  # type: ignore[assignment]
    assert Enhancer(model=model).latency_samples == 480
    np.testing.assert_array_equal(enhance(noise(1000), 48000, model=model), noise(1000))


@pytest.mark.parametrize("shape", [(4001,), (1, 4001), (2, 4001)])
def test_int16_comes_back_to_the_bit(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).integers(-32768, 32768, shape).astype(np.int16)
    y = enhance(x, 48000)
    assert y.dtype == np.int16
    np.testing.assert_array_equal(y, x)
    channels = 1 if len(shape) == 1 else shape[0]
    streamed = stream(Enhancer(48000, channels), x, [333])
    assert streamed.dtype == np.int16
    np.testing.assert_array_equal(streamed[..., 1440:], x)


def test_samples_of_the_other_byte_order_are_the_same_samples() -> None:
    x = np.random.default_rng(0).integers(-32768, 32768, 4001).astype(np.int16)
    np.testing.assert_array_equal(enhance(x.astype(">i2"), 48000), x)


def test_floats_keep_their_type() -> None:
    for dtype in (np.float32, np.float64):
        y = enhance(noise(1000).astype(dtype), 16000)
        assert y.dtype == dtype
    with pytest.raises(AudioError, match="samples of type int32"):
        enhance(np.zeros(100, np.int32), 16000)


def test_input_is_not_changed_and_not_returned() -> None:
    x = noise(2000)
    before = x.copy()
    enhancer = Enhancer()
    y = enhancer.process(x)
    y[:] = 9
    assert not np.shares_memory(x, y)
    np.testing.assert_array_equal(x, before)


# The real signal path, with random weights.


@pytest.fixture(params=[CORE, NUMPY])
def real(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setenv(VARIABLE, request.param)
    try:
        engine()
    except PercepNetError as error:
        pytest.skip(str(error))
    monkeypatch.setattr(percepnet.stream, "open_stream", open_stream)
    monkeypatch.setattr(percepnet.stream, "Model", Model)
    return identity_system.random_model()


@pytest.mark.parametrize(("rate_hz", "link_channels"), [(48000, True), (48000, False), (16000, True)])
def test_real_system_gives_the_same_bits_for_every_chunking(real: Model, rate_hz: int, link_channels: bool) -> None:
    x = noise(2, rate_hz // 4)
    whole = enhance(x, rate_hz, model=real, link_channels=link_channels)
    assert whole.shape == x.shape
    assert level_db(whole - x) > level_db(x) - 60
    enhancer = Enhancer(rate_hz, 2, model=real, link_channels=link_channels)
    for sizes in ([1, 0, 700, 333, 480], [rate_hz // 100] * 20):
        chunked = stream(enhancer, x, sizes)
        np.testing.assert_array_equal(chunked[:, enhancer.latency_samples :], whole)


def test_real_system_keeps_unlinked_channels_apart(real: Model) -> None:
    x = noise(2, 9600)
    both = enhance(x, 48000, model=real, link_channels=False)
    np.testing.assert_array_equal(both[1], enhance(x[1], 48000, model=real))


@pytest.mark.parametrize("rate_hz", [16000, 48000])
def test_real_system_keeps_digital_silence(real: Model, rate_hz: int) -> None:
    np.testing.assert_array_equal(enhance(np.zeros(rate_hz // 2), rate_hz, model=real), 0)
    np.testing.assert_array_equal(enhance(np.zeros((2, 5000), np.int16), rate_hz, model=real), 0)


def test_real_system_with_no_attenuation_allowed_returns_the_input(real: Model) -> None:
    time_s = np.arange(24000) / 48000
    x = 0.1 * np.sin(2 * np.pi * 440 * time_s) + 0.1 * np.sin(2 * np.pi * 7000 * time_s)
    error = enhance(x, 48000, model=real, attenuation_limit_db=0.0) - x
    assert level_db(error[2000:-2000]) < level_db(x) - 90


# Blocks: as many samples come back as were given.


@pytest.mark.parametrize("rate_hz", [16000, 44100, 48000])
def test_blocks_of_any_length_come_back_with_their_length(real: Model, rate_hz: int) -> None:
    x = noise(rate_hz // 4)
    enhancer = Enhancer(rate_hz, model=real, block_samples=1)
    sizes = [len(enhancer.process(x[start : start + 333])) for start in range(0, len(x), 333)]
    assert sizes == [len(x[start : start + 333]) for start in range(0, len(x), 333)]
    enhancer.reset()
    free = Enhancer(rate_hz, model=real)
    later = enhancer.latency_samples - free.latency_samples
    assert 0 < later <= rate_hz // 100
    np.testing.assert_array_equal(stream(enhancer, x, [7, 700])[later:], stream(free, x, [7, 700]))


def test_blocks_of_whole_hops_cost_no_delay() -> None:
    assert Enhancer(block_samples=960).latency_samples == Enhancer().latency_samples


def test_a_chunk_that_is_no_multiple_of_a_block_is_refused() -> None:
    enhancer = Enhancer(block_samples=128)
    with pytest.raises(AudioError, match="multiple"):
        enhancer.process(noise(100))
    with pytest.raises(AudioError, match="block_samples is -1"):
        Enhancer(block_samples=-1)


# The package.


def test_import_is_light() -> None:
    code = "import sys, percepnet; print(*({m.split('.')[0] for m in sys.modules}))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"torch", "scipy", "matplotlib", "soundfile", "typer", "rich", "onnxruntime", "librosa"}
    assert not heavy & set(modules)
    assert set(percepnet.__all__) <= set(dir(percepnet))
