import sys

import numpy as np
import pytest

from percepnet.errors import PercepNetError
from percepnet.evaluation import peers
from percepnet.evaluation.peers import (
    at_rate,
    load_peers,
    measured_delay_samples,
    run_system,
    start_system,
    system_version,
)

RATE_HZ = 48_000
PACKAGES = {
    "rnnoise": "pyrnnoise",
    "webrtc": "webrtc_noise_gain",
    "speex": "speexdsp_ns",
    "noisereduce": "noisereduce",
    "deepfilternet": "df",
}


@pytest.fixture(scope="module")
def syllables():
    """A voice with pauses, in a little noise."""
    t = np.arange(RATE_HZ + 123) / RATE_HZ
    envelope = np.clip(np.sin(2 * np.pi * 4 * t), 0, None)
    voice = sum(np.cos(2 * np.pi * 140 * k * t) / k for k in range(1, 20))
    return (0.05 * envelope * voice + 1e-4 * np.random.default_rng(0).standard_normal(t.size)).astype(np.float32)


@pytest.fixture
def config(tmp_path):
    def write(text):
        path = tmp_path / "peers.toml"
        path.write_text(text)
        load_peers.cache_clear()
        return path

    yield write
    load_peers.cache_clear()


def test_a_known_delay_is_measured_and_taken_off(syllables):
    x = np.random.default_rng(0).standard_normal(RATE_HZ).astype(np.float32)
    for delay in (0, 1, 960, 9600):
        assert measured_delay_samples(x, 0.1 * np.roll(x, delay)) == delay
    late = run_system(lambda noisy: 0.5 * np.roll(noisy, 1440), syllables)
    assert late.delay_samples == 1440
    np.testing.assert_allclose(late.y, 0.5 * syllables)


@pytest.mark.parametrize("name", [*PACKAGES, "percepnet"])
def test_what_comes_out_is_aligned_and_as_long_as_what_went_in(name, syllables):
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name], reason=f"the package of {name} is not installed")
    try:
        process = start_system(name)
    except PercepNetError as error:
        pytest.skip(str(error))
    result = run_system(process, syllables)
    assert result.y.shape == syllables.shape
    assert measured_delay_samples(np.pad(syllables, (0, 9600)), np.pad(result.y, (0, 9600))) == 0
    assert np.corrcoef(result.y, syllables)[0, 1] > 0.5
    if name == "percepnet":
        assert result.delay_samples == 1440  # 30 ms, as its documentation says


@pytest.mark.parametrize(
    ("process", "message"),
    [
        (lambda x: x[: len(x) // 2], "shape"),
        (lambda x: np.stack([x, x]), "shape"),
        (lambda x: x * np.nan, "NaN"),
        (lambda x: {}["key"], "failed: KeyError"),
        (lambda x: np.roll(x, 9600)[: len(x) - 9600], "is late by 9600"),
    ],
)
def test_a_system_that_breaks_its_promise_is_refused_in_one_line(process, message):
    # noise, of which a part is like no other: a steady voice is like itself a period later
    noise = np.random.default_rng(0).standard_normal(RATE_HZ).astype(np.float32)
    with pytest.raises(PercepNetError, match=message) as error:
        run_system(process, noise)
    assert "\n" not in str(error.value)


def test_a_system_that_is_not_installed_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "noisereduce", None)
    with pytest.raises(PercepNetError, match="pip install noisereduce"):
        start_system("noisereduce")


def test_a_system_at_another_rate_has_no_delay_of_its_own(syllables):
    assert run_system(at_rate(16_000, lambda x: x), syllables).delay_samples == 0


def test_a_command_is_a_system(config, syllables):
    script = (
        "import sys, soundfile as sf; x, r = sf.read(sys.argv[1]); assert r == 16000; sf.write(sys.argv[2], 0.5 * x, r)"
    )
    path = config(
        f"[[system]]\nname = 'half'\ncommand = '''{sys.executable} -c \"{script}\" {{in}} {{out}}'''\nrate_hz = 16000\n"
    )
    result = run_system(start_system("half", None, path), syllables)
    assert result.y.shape == syllables.shape
    assert np.dot(result.y, syllables) / np.dot(syllables, syllables) == pytest.approx(0.5, abs=0.01)


def test_a_command_that_fails_says_what_it_said(config, syllables):
    path = config(f"[[system]]\nname = 'no'\ncommand = '''{sys.executable} -c \"exit('no model')\" {{in}} {{out}}'''\n")
    with pytest.raises(PercepNetError, match=r"ended with 1.*no model"):
        run_system(start_system("no", None, path), syllables)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "no TOML file"),
        ("a = 1", r"\[\[system\]\]"),
        ("[[system]]\ncommand = 'x {in} {out}'", "needs a name"),
        ("[[system]]\nname = 'x'", "either command or onnx"),
        ("[[system]]\nname = 'x'\ncommand = 'x {in}'", "needs the words"),
        ("[[system]]\nname = 'noisy'\ncommand = 'x {in} {out}'", "already"),
        ("[[system]]\nname = 'x'\ncommand = 'x {in} {out}'\nrate = 1", "unknown: \\['rate'\\]"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused(config, text, message):
    with pytest.raises(PercepNetError, match=message):
        load_peers(config(text))


def test_another_model_is_another_version(tmp_path):
    (tmp_path / "other.safetensors").write_bytes(b"weights")
    own, other = (peers.system_version("percepnet", model) for model in (None, str(tmp_path / "other.safetensors")))
    assert own != other
    with pytest.raises(PercepNetError, match="unknown system 'magic'"):
        peers.system_version("magic")


def test_an_oracle_hears_the_clean_speech(syllables):
    noise = 0.1 * np.random.default_rng(3).standard_normal(len(syllables)).astype(np.float32)
    result = run_system(start_system("oracle"), syllables + noise, syllables)
    error, before = (np.sum((y - syllables)[4800:-4800] ** 2) for y in (result.y, syllables + noise))
    assert result.delay_samples == 0
    assert error < 0.5 * before
    with pytest.raises(PercepNetError, match="there is none"):
        run_system(start_system("oracle"), syllables)
    assert system_version("oracle", "small") == system_version("oracle", "default") != system_version("small")


def test_small_is_the_smaller_model_whatever_percepnet_runs(syllables):
    assert np.array_equal(
        run_system(start_system("small", "default"), syllables).y,
        run_system(start_system("percepnet", "small"), syllables).y,
    )
    assert system_version("small", "default") == system_version("percepnet", "small") != system_version("percepnet")
