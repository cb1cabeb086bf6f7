"""The model that comes with the package, on clips that no training has heard."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

import percepnet
from levels import level_db
from percepnet.params import SAMPLE_RATE_HZ

ROOT = Path(__file__).parents[1]
CLIPS = ROOT / "examples" / "clips"
NAMES = sorted(path.name for path in (CLIPS / "noisy").glob("*.flac"))


# A baby cries in the frequencies of the voice, and the room is noise too.
LEAST_GAIN_DB = {"baby_room_female.flac": 1.0}


def clip(kind, name):
    x, rate_hz = sf.read(CLIPS / kind / name, dtype="float32")
    assert rate_hz == SAMPLE_RATE_HZ
    return x


def si_sdr_db(reference, estimate):
    target = (estimate @ reference) / (reference @ reference) * reference
    return 10 * np.log10((target @ target) / ((estimate - target) @ (estimate - target)))


@pytest.fixture(scope="module")
def enhanced():
    return {name: percepnet.enhance(clip("noisy", name), SAMPLE_RATE_HZ) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_noise_goes_down(enhanced, name):
    before, after = (si_sdr_db(clip("clean", name), x) for x in (clip("noisy", name), enhanced[name]))
    assert after > before + LEAST_GAIN_DB.get(name, 2.5)


def test_speech_sounds_better(enhanced):
    pesq = pytest.importorskip("pesq", reason="needs pesq: pip install 'percepnet[eval]'").pesq
    soxr = pytest.importorskip("soxr", reason="needs soxr: pip install 'percepnet[eval]'")

    def score(name, x):
        reference, estimate = (soxr.resample(s, SAMPLE_RATE_HZ, 16_000) for s in (clip("clean", name), x))
        return pesq(16_000, reference, estimate, "wb")

    gains = [score(name, enhanced[name]) - score(name, clip("noisy", name)) for name in NAMES]
    assert np.mean(gains) > 0.15


@pytest.mark.parametrize("name", NAMES)
def test_clean_speech_is_nearly_left_alone(name):
    clean = clip("clean", name)
    assert si_sdr_db(clean, percepnet.enhance(clean, SAMPLE_RATE_HZ)) > 15.0


def test_steady_noise_alone_is_attenuated():
    noise = 0.03 * np.random.default_rng(0).standard_normal(4 * SAMPLE_RATE_HZ).astype(np.float32)
    left = percepnet.enhance(noise, SAMPLE_RATE_HZ)[SAMPLE_RATE_HZ:]
    assert 10 * np.log10((left**2).mean() / (noise**2).mean()) < -15.0


def test_silence_stays_silence():
    assert not percepnet.enhance(np.zeros((2, SAMPLE_RATE_HZ), np.float32), SAMPLE_RATE_HZ).any()


def test_it_has_a_card_with_the_licences_of_its_data():
    model = percepnet.load_model()
    card = (Path(percepnet.__file__).parent / "model" / "weights" / "default.md").read_text(encoding="utf-8")
    sources = [name.partition("/")[2] for name in model.info if name.startswith(("speech/", "noise/"))]
    assert len(sources) > 10
    assert not [source for source in sources if source not in card]


@pytest.mark.parametrize("model", ["default", "small"])
@pytest.mark.parametrize(
    ("offset", "most_db"),
    [(lambda t: 0.05, -60), (lambda t: 0.3, -60), (lambda t: 0.4 * np.sin(2 * np.pi * 8 * t), -25)],
    ids=["DC of 0.05", "DC of 0.3", "8 Hz at 0.4"],
)
def test_dc_and_infrasound_change_nothing(model, offset, most_db):
    """They cost clean speech 1.1 PESQ and more, from the first sample to the last."""
    x = clip("clean", "helicopter_male.flac")
    with_offset = (x + offset(np.arange(len(x)) / SAMPLE_RATE_HZ)).astype(np.float32)
    expected, found = (percepnet.enhance(signal, SAMPLE_RATE_HZ, model=model) for signal in (x, with_offset))
    error = found - expected
    assert np.mean(error**2) < 10 ** (most_db / 10) * np.mean(expected**2)
    assert np.abs(error[-480:]).max() < 0.02


def test_somebody_far_away_is_heard_after_somebody_near():
    """40 dB softer than who has just spoken, in a room whose noise is 25 dB softer still."""
    near, far = clip("clean", "sea_female.flac"), clip("clean", "helicopter_male.flac")
    near, far = (x * 10 ** ((wanted - level_db(x)) / 20) for x, wanted in ((near, -26), (far, -66)))
    both = np.concatenate([near, far, near])
    losses = []
    for seed in range(3):
        room = 10 ** (-91 / 20) * np.random.default_rng(seed).standard_normal(len(both))
        y = percepnet.enhance((both + room).astype(np.float32), SAMPLE_RATE_HZ)
        losses.append(level_db(far) - level_db(y[len(near) : len(near) + len(far)]))
    assert np.mean(losses) < 2.0
