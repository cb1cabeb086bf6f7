"""Arrays as streams, whole signals and files: what goes in, what comes out, and what is refused."""

import json

import numpy as np
import pytest
import soundfile

import percepnet
from models import random_model
from percepnet import AudioError, Beamformer, PercepNetError, beamform
from percepnet.metrics.score import si_sdr
from voices import RATE_HZ, noise

MODEL = random_model(3)
PLACES_M = np.arange(4) * 0.04


def sounds(channels, samples, seed=0):
    return np.random.default_rng(seed).uniform(-0.3, 0.3, (channels, samples)).astype(np.float32)


def played(beamformer, x, size):
    starts = range(0, max(1, x.shape[1]), size)
    parts = [beamformer.process(x[:, start : start + size]) for start in starts]
    return np.concatenate([*parts, beamformer.flush()], axis=1)


def through(x, degrees, places_m=PLACES_M):
    """A plane wave at the microphones."""
    hz = np.fft.rfftfreq(2 * len(x), 1 / RATE_HZ)
    delays_s = places_m * np.cos(np.radians(degrees)) / 343.0
    spectrum = np.fft.rfft(x, 2 * len(x)) * np.exp(-2j * np.pi * hz * delays_s[:, None])
    return np.fft.irfft(spectrum)[:, : len(x)].astype(np.float32)


@pytest.fixture(scope="module")
def talker():
    """Speech at four microphones, and with noise of its own spectrum from another side: 5 s."""
    x, rate_hz = soundfile.read("examples/clips/clean/sea_female.flac", dtype="float32")
    assert rate_hz == RATE_HZ
    speech = through(x[: 5 * RATE_HZ], 40)
    rng = np.random.default_rng(0)
    level = np.sqrt(np.mean(speech**2))
    spectrum = np.fft.rfft(speech[0])
    hum = np.fft.irfft(np.abs(spectrum) * np.exp(2j * np.pi * rng.uniform(size=len(spectrum))))
    return speech, speech + through(hum, 130) + (0.003 * level * rng.standard_normal(speech.shape)).astype(np.float32)


def quality_db(y, speech):
    return max(si_sdr(x, y, RATE_HZ)["si_sdr_db"] for x in speech)


def test_is_a_processor_with_the_delay_of_the_model_and_a_hop():
    beamformer = Beamformer(channels=3, model=MODEL)
    assert isinstance(beamformer, percepnet.Processor)
    assert beamformer.inputs == ("near",)
    assert (beamformer.sample_rate, beamformer.channels) == (48000, 3)
    assert beamformer.latency_samples == percepnet.Enhancer(model=MODEL).latency_samples + 480
    assert Beamformer(channels=3, model=MODEL, enhance=False).latency_samples == 480
    assert "3 channels to 1" in repr(beamformer)


@pytest.mark.parametrize("engine", ["core", "numpy"])
@pytest.mark.parametrize("rate_hz", [8000, 44101, 48000])
def test_a_stream_is_the_file_to_the_bit(core, rate_hz, engine):
    x = sounds(3, rate_hz // 4 + 3)
    beamformer = Beamformer(rate_hz, 3, model=MODEL, engine=engine)
    assert beamformer.engine == engine
    whole = beamform(x, rate_hz, model=MODEL, engine=engine)
    assert whole.shape == (x.shape[1],)
    for size in (rate_hz // 100, 333, x.shape[1]):
        y = played(beamformer, x, size)
        assert y.shape == (1, x.shape[1] + beamformer.latency_samples)
        assert y[0, beamformer.latency_samples :].tobytes() == whole.tobytes()
    beamformer.process(x[:, :777])
    beamformer.reset()
    assert played(beamformer, x, 500)[0, beamformer.latency_samples :].tobytes() == whole.tobytes()


def test_engines_agree(core, talker):
    x = talker[1][:, : RATE_HZ // 2]
    found, expected = (beamform(x, RATE_HZ, model=MODEL, engine=engine) for engine in ("core", "numpy"))
    assert np.sqrt(np.mean((found - expected) ** 2)) < 0.02 * np.sqrt(np.mean(expected**2))


@pytest.mark.parametrize("dtype", ["<f4", "f8", "<i2", ">i2"])
def test_dtype_comes_back(dtype):
    x = (sounds(2, 4000) * (32768 if "i" in dtype else 1)).astype(dtype)
    beamformer = Beamformer(16000, 2, model=MODEL)
    for y in (beamformer.process(x), beamformer.flush(), beamform(x, 16000, model=MODEL)[None]):
        assert y.dtype == x.dtype
        assert y.shape[0] == 1


def test_bypass_is_the_first_microphone():
    x = sounds(2, 9600)
    beamformer = Beamformer(16000, 2, model=MODEL)
    beamformer.bypass = True
    y = played(beamformer, x, 700)
    np.testing.assert_array_equal(y[0, beamformer.latency_samples :], x[0])


def test_noise_from_another_side_goes_down(core, talker):
    speech, x = talker
    y = beamform(x, RATE_HZ, enhance=False)
    before = max(quality_db(channel, speech) for channel in x)
    assert quality_db(y, speech) > before + 2.5
    assert quality_db(beamform(x, RATE_HZ), speech) > quality_db(percepnet.enhance(x[0], RATE_HZ), speech) + 1


@pytest.mark.parametrize("what", ["silent", "constant", "copy", "soft", "clipped", "swapped", "noisy"])
def test_no_bad_microphone_makes_it_worse_than_the_best_one(core, talker, what):
    speech, x = talker
    x = x.copy()
    if what == "silent":
        x[0] = 0
    elif what == "constant":
        x[1] = 0.25
    elif what == "copy":
        x[2] = 0.5 * x[0]
    elif what == "soft":
        x[[1, 3]] *= 0.1
    elif what == "clipped":
        limit = 0.2 * np.abs(x[2]).max()
        x[2] = np.clip(x[2], -limit, limit)
    elif what == "swapped":
        x = x[[2, 0, 3, 1]]
    else:
        x[3] += 10 * np.sqrt(np.mean(x**2)) * np.random.default_rng(1).standard_normal(x.shape[1]).astype(np.float32)
    beamformer = Beamformer(RATE_HZ, 4, enhance=False)
    parts = [beamformer.process(x)]
    assert beamformer.reference_channel not in beamformer.left_out
    y = np.concatenate([*parts, beamformer.flush()], axis=1)[0, beamformer.latency_samples :]
    best = max(quality_db(channel, speech) for channel in x if np.ptp(channel) > 0)
    assert quality_db(y, speech) > best
    expected = {"silent": {0: "is silent"}, "constant": {1: "is silent"}, "copy": {2: "is a copy of channel 1"}}
    assert beamformer.left_out == expected.get(what, {})


def test_copies_of_one_microphone_are_that_microphone(core):
    x = np.repeat(sounds(1, RATE_HZ), 3, axis=0)
    beamformer = Beamformer(RATE_HZ, 3, enhance=False)
    y = played(beamformer, x, 4800)[0, 480:]
    assert list(beamformer.left_out) == [1, 2]
    np.testing.assert_allclose(y, x[0], atol=1e-4)


@pytest.mark.parametrize("copies", [(1, 1), (1, -0.5), (1, 1, 1), (1, 1, 0, -0.5)])
def test_copies_of_clean_speech_are_that_speech(core, copies):
    x, rate_hz = soundfile.read("examples/clips/clean/sea_female.flac", dtype="float32")
    assert rate_hz == RATE_HZ
    x = np.stack([np.float32(weight) * x[: 3 * RATE_HZ] for weight in copies])
    y = beamform(x, RATE_HZ, enhance=False)
    assert si_sdr(x[0], y, RATE_HZ)["si_sdr_db"] > 40


def test_what_cannot_be_set_is_refused_and_the_stream_goes_on():
    x = sounds(2, 4800)
    with Beamformer(RATE_HZ, 2, model=MODEL, enhance=False) as beamformer:
        with pytest.raises(PercepNetError, match="goes with enhance=True"):
            beamformer.attenuation_limit_db = 12
        beamformer.attenuation_limit_db = None
        with pytest.raises(PercepNetError, match="no far end: take the echo out of each microphone before"):
            beamformer.process(x, x[0])
        assert beamformer.process(x).shape == (1, 4800)


def test_what_is_no_audio_is_refused_or_silent():
    x = sounds(2, 4800)
    x[1, 1000] = np.nan
    with pytest.raises(AudioError, match=r"NaN or infinity at 0.020833 s"):
        beamform(x, RATE_HZ, model=MODEL)
    beamformer = Beamformer(RATE_HZ, 2, model=MODEL)
    with pytest.raises(AudioError, match="NaN"):
        beamformer.process(x)
    assert beamformer.process(x[:, 1920:]).shape == (1, 2880)
    lenient = Beamformer(RATE_HZ, 2, model=MODEL, invalid="silence")
    assert np.all(np.isfinite(lenient.process(x)))
    assert lenient.refused_hops == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": 1}, "2 to 16 channels, one a microphone, and here is 1"),
        ({"channels": 17}, "and here are 17"),
        ({"quality": "best"}, "is for single recordings"),
        ({"enhance": 1}, "give True or False"),
        ({"enhance": False, "attenuation_limit_db": 12}, "nothing else to limit"),
    ],
)
def test_settings_that_cannot_be(arguments, message):
    with pytest.raises(PercepNetError, match=message):
        Beamformer(**{"channels": 2, **arguments})
    with pytest.raises(AudioError, match="here is 1"):
        beamform(np.zeros(100, np.float32), RATE_HZ)
    with pytest.raises(PercepNetError, match="no far end"):
        Beamformer(model=MODEL).process(np.zeros((2, 10), np.float32), np.zeros(10, np.float32))


def test_a_closed_one_says_so():
    with Beamformer(model=MODEL) as beamformer:
        beamformer.process(sounds(2, 480))
    beamformer.close()
    with pytest.raises(PercepNetError, match="closed"):
        beamformer.process(sounds(2, 480))


@pytest.fixture
def array_file(tmp_path):
    x = noise(3, RATE_HZ, 0.1).astype(np.float32)
    x = np.stack([x, 0.5 * np.roll(x, 3) + noise(4, RATE_HZ, 0.01), np.zeros_like(x)]).astype(np.float32)
    soundfile.write(tmp_path / "array.wav", x.T, RATE_HZ, subtype="FLOAT")
    return tmp_path / "array.wav", x


def test_a_file_becomes_mono_and_says_what_was_left_out(command, array_file):
    path, x = array_file
    out = path.with_name("out.wav")
    result = command("enhance", path, "-o", out, "--beamform")
    assert result.code == 0
    assert "3 microphones to one" in result.out
    assert "channel 3 is silent, and was left out" in result.err
    y, rate_hz = soundfile.read(out, dtype="float32", always_2d=True)
    assert (rate_hz, y.shape) == (RATE_HZ, (RATE_HZ, 1))
    np.testing.assert_array_equal(y[:, 0], beamform(x, RATE_HZ))


def test_a_folder_of_arrays(command, array_file):
    path, _ = array_file
    folder = path.with_name("arrays")
    folder.mkdir()
    soundfile.write(folder / "a.wav", noise(5, (8000, 2), 0.1), 16000)
    soundfile.write(folder / "one.wav", noise(6, 8000, 0.1), 16000)
    result = command("enhance", folder, "-o", path.with_name("out"), "--beamform", "--jobs", "2", "--json")
    found = json.loads(result.out)
    assert result.code == 1
    assert [line["channels"] for line in found["results"]] == [2]
    assert "one.wav: beamforming takes 2 to 16 channels, one a microphone, and here is 1" in result.err
    assert soundfile.info(path.with_name("out") / "a.wav").channels == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--far-end", "far.wav"], "does not go with --far-end"),
        (["--quality", "best"], "is for single recordings"),
        (["--unlinked"], "leave out --linked and --unlinked"),
    ],
)
def test_options_that_do_not_go_with_it(command, array_file, options, message):
    path, _ = array_file
    result = command("enhance", path, "-o", path.with_name("out.wav"), "--beamform", *options)
    assert result.code == 2
    assert message in result.err
    assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize("channels", [1, 17])
def test_files_that_are_no_array(command, tmp_path, channels):
    soundfile.write(tmp_path / "x.wav", noise(7, (4800, channels), 0.1), 16000)
    result = command("enhance", tmp_path / "x.wav", "-o", tmp_path / "y.wav", "--beamform")
    assert result.code == 2
    assert "beamforming takes 2 to 16 channels" in result.err
    assert len(result.err.splitlines()) == 1
    assert not (tmp_path / "y.wav").exists()
