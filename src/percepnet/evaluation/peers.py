"""Systems that are compared: percepnet, the recording itself, and others, each an adapter of a few lines.

An adapter takes a mono recording at 48 kHz and gives what comes out of the system, of about the same length and late by
whatever delay the system has; `run_system` measures that delay by correlation and takes it off. Another system is one
more entry of `PEERS`, or, without a line of code, a table in a TOML file::

    [[system]]
    name = "deepfilter"
    command = "deep-filter-to {in} {out}"    # reads one WAV file, writes another
    rate_hz = 48000

    [[system]]
    name = "some-network"
    onnx = "network.onnx"                    # a waveform in, a waveform of the same length out
    rate_hz = 16000
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import soundfile
from numpy.typing import NDArray

import percepnet
from percepnet.arrays import Samples
from percepnet.engine import engine
from percepnet.errors import PercepNetError, extra_packages
from percepnet.evaluation.recordings import resampled
from percepnet.model import load_model
from percepnet.params import SAMPLE_RATE_HZ, SignalParams
from percepnet.reference.oracle import oracle_steps
from percepnet.stream import Enhancer

DELAY_MAX_SAMPLES = 9600  # 200 ms
SMALL = "small"
ORACLE = "oracle"
COMMAND_TIMEOUT_S = 600
CONFIG_KEYS = {"name", "command", "onnx", "rate_hz"}

Process = Callable[[Samples], Samples]


class Peer(NamedTuple):
    """How a system is made from the name of percepnet's model (which most ignore), and the package that it is in.

    One that is `only_when_named` is not among those that are compared where nobody says which.
    """

    start: Callable[[str | None], Process | Oracle]
    package: str = "percepnet"
    only_when_named: bool = False


@dataclass(frozen=True)
class Oracle:
    """A system that is told the clean speech: what can be reached at best."""

    enhance: Callable[[Samples, Samples], Samples]

    def told(self, clean: Samples) -> Process:
        """The same as an adapter, for a recording whose clean speech is known."""
        return lambda noisy: self.enhance(np.pad(clean, (0, len(noisy) - len(clean))), noisy)


class Enhanced(NamedTuple):
    """What a system made of a recording: aligned with it, and of its length.

    Attributes
    ----------
    delay_samples : int
        By which it came out late, at 48 kHz.
    cpu_s : float
        Time of the processor, of all threads and of child processes.
    """

    y: Samples
    delay_samples: int
    cpu_s: float


def _noisy(_model: str | None) -> Process:
    return lambda noisy: noisy


def _percepnet(model: str | None, *, comb_filter: bool = True, post_filter: bool = False) -> Process:
    loaded = load_model(model)

    def enhance(noisy: Samples) -> Samples:
        enhancer = Enhancer(SAMPLE_RATE_HZ, 1, model=loaded, comb_filter=comb_filter, post_filter=post_filter)
        return cast(Samples, enhancer.process(noisy))

    return enhance


def _oracle(model: str | None) -> Oracle:
    params = load_model(model).params
    return Oracle(lambda clean, noisy: np.asarray(oracle_steps(clean, noisy, params, "noisy").comb, np.float32))


def _rnnoise(_model: str | None) -> Process:
    from pyrnnoise import rnnoise

    def suppress(noisy: Samples) -> Samples:
        state = rnnoise.create()
        try:
            frames = [rnnoise.process_mono_frame(state, x)[0] for x in _int16_frames(noisy, rnnoise.FRAME_SIZE)]
        finally:
            rnnoise.destroy(state)
        return np.concatenate(frames).astype(np.float32) / np.float32(32767)

    return suppress


def _webrtc(_model: str | None) -> Process:
    from webrtc_noise_gain import AudioProcessor

    def suppress(noisy: Samples) -> Samples:
        processor = AudioProcessor(0, 2)  # no gain control, moderate suppression: what a call has by default
        frames = [processor.Process10ms(x.tobytes()).audio for x in _int16_frames(noisy, 160)]
        return np.frombuffer(b"".join(frames), np.int16).astype(np.float32) / np.float32(32767)

    return at_rate(16_000, suppress)


def _speex(_model: str | None) -> Process:
    from speexdsp_ns import NoiseSuppression

    def suppress(noisy: Samples) -> Samples:
        state = NoiseSuppression.create(480, SAMPLE_RATE_HZ)
        frames = [state.process(x.tobytes()) for x in _int16_frames(noisy, 480)]
        return np.frombuffer(b"".join(frames), np.int16).astype(np.float32) / np.float32(32767)

    return suppress


def _noisereduce(_model: str | None) -> Process:
    from noisereduce import reduce_noise

    return lambda noisy: np.asarray(reduce_noise(y=noisy, sr=SAMPLE_RATE_HZ), np.float32)


def _deepfilternet(_model: str | None) -> Process:
    from df.enhance import enhance, init_df
    from df.utils import get_cache_dir

    weights = Path(get_cache_dir()) / "DeepFilterNet3"
    if not (weights / "config.ini").is_file():  # the package would fetch them: an evaluation fetches nothing
        raise PercepNetError(f"its weights are not in {weights}: run deepFilter once, which fetches them")
    import torch

    network, state, _ = init_df(str(weights), log_level="ERROR", log_file=None)

    def suppress(noisy: Samples) -> Samples:
        y = enhance(network, state, torch.from_numpy(noisy)[None], pad=False)
        return np.asarray(y[0].numpy(), np.float32)

    return suppress


PEERS: dict[str, Peer] = {
    "noisy": Peer(_noisy),
    "percepnet": Peer(_percepnet),
    "percepnet-without-comb-filter": Peer(partial(_percepnet, comb_filter=False), only_when_named=True),
    "percepnet-with-post-filter": Peer(partial(_percepnet, post_filter=True), only_when_named=True),
    SMALL: Peer(lambda _model: _percepnet(SMALL), only_when_named=True),
    ORACLE: Peer(_oracle, only_when_named=True),
    "rnnoise": Peer(_rnnoise, "pyrnnoise"),
    "deepfilternet": Peer(_deepfilternet, "deepfilternet"),
    "webrtc": Peer(_webrtc, "webrtc-noise-gain"),
    "speex": Peer(_speex, "speexdsp-ns"),
    "noisereduce": Peer(_noisereduce, "noisereduce"),
}


def _int16_frames(x: Samples, size: int) -> NDArray[np.int16]:
    """The recording in 16 bits [shape=(frames, size)], its end filled with silence."""
    whole = np.pad(x, (0, -len(x) % size))
    return np.rint(np.clip(whole, -1.0, 1.0) * 32767).astype(np.int16).reshape(-1, size)


def at_rate(rate_hz: int, process: Process) -> Process:
    """An adapter for a system that runs at another rate than 48 kHz; the resampling has no delay."""
    if rate_hz == SAMPLE_RATE_HZ:
        return process

    def resampling(noisy: Samples) -> Samples:
        return resampled(process(resampled(noisy, SAMPLE_RATE_HZ, rate_hz)), rate_hz, SAMPLE_RATE_HZ)

    return resampling


def measured_delay_samples(x: Samples, delayed: Samples) -> int:
    """Delay of a system, 0 to 200 ms: the lag at which what came out correlates best with what went in.

    Parameters
    ----------
    x, delayed : np.ndarray [shape=(n,)]
    """
    size = len(x) + len(delayed)
    correlation = np.fft.irfft(np.fft.rfft(x, size).conj() * np.fft.rfft(delayed, size), size)
    return int(np.argmax(correlation[: DELAY_MAX_SAMPLES + 1]))


def run_system(process: Process | Oracle, noisy: Samples, clean: Samples | None = None) -> Enhanced:
    """Run a system on a recording, and line up what comes out with what went in.

    Parameters
    ----------
    process : callable or Oracle
        As the adapters of this file.
    noisy : np.ndarray [shape=(n,)]
        Mono, 48 kHz; 200 ms of silence are added, so that the end comes out of a system with a delay too.
    clean : np.ndarray [shape=(n,)], optional
        For an oracle alone.

    Raises
    ------
    PercepNetError
        If the system fails, or gives too few samples, too many, or NaN or infinity; or if an oracle is told nothing.
    """
    if isinstance(process, Oracle):
        if clean is None:
            raise PercepNetError("decides by the clean speech, and there is none")
        process = process.told(clean)
    padded = np.pad(noisy, (0, DELAY_MAX_SAMPLES))
    before = _cpu_s()
    try:
        y = np.asarray(process(padded))
    except PercepNetError:
        raise
    except Exception as error:  # whatever a package of others raises must not stop the others
        raise PercepNetError(f"failed: {type(error).__name__}: {' '.join(str(error).split())[:300]}") from error
    cpu_s = _cpu_s() - before
    if y.ndim != 1 or len(y) > len(padded) + DELAY_MAX_SAMPLES or len(y) < len(noisy):
        raise PercepNetError(f"gave an array of shape {y.shape} for a recording of {len(padded)} samples")
    if not np.isfinite(y).all():
        raise PercepNetError("gave NaN or infinity")
    y = y.astype(np.float32, copy=False)
    delay = measured_delay_samples(padded, y)
    if len(y) < delay + len(noisy):
        raise PercepNetError(f"is late by {delay} samples, and gave only {len(y)} for {len(padded)}")
    return Enhanced(y[delay : delay + len(noisy)], delay, cpu_s)


@lru_cache(maxsize=32)
def load_peers(config: Path | None) -> dict[str, Peer]:
    """The systems of this file, and those of a configuration.

    Parameters
    ----------
    config : path, optional
        TOML file with an array of tables ``[[system]]``: ``name``, ``rate_hz`` (48000 where it is missing), and either
        ``command``, with ``{in}`` and ``{out}`` for WAV files, or ``onnx``, a file with one waveform in and one out.

    Raises
    ------
    PercepNetError
        If the file is not like that, or a name is taken.
    """
    if config is None:
        return PEERS
    with extra_packages("evaluate"):
        if sys.version_info >= (3, 11):
            import tomllib
        else:
            import tomli as tomllib
    try:
        tables = tomllib.loads(config.read_text(encoding="utf-8"))["system"]
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError) as error:
        raise PercepNetError(f"{config}: no TOML file with [[system]] tables ({error})") from error
    peers = dict(PEERS)
    for table in tables if isinstance(tables, list) else [tables]:
        name, peer = _configured(table, config)
        if name in peers:
            raise PercepNetError(f"{config}: there is a system {name!r} already: give another name")
        peers[name] = peer
    return peers


def _configured(table: Any, config: Path) -> tuple[str, Peer]:
    try:
        name, rate_hz = str(table["name"]), int(table.get("rate_hz", SAMPLE_RATE_HZ))
        unknown = set(table) - CONFIG_KEYS
        command, onnx = table.get("command"), table.get("onnx")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PercepNetError(f"{config}: a [[system]] needs a name and a command ({error})") from error
    if unknown or not name or "," in name or (command is None) == (onnx is None) or not 8000 <= rate_hz <= 192_000:
        raise PercepNetError(
            f"{config}: system {name!r} needs a name without commas, either command or onnx, and a rate_hz of 8000 to "
            f"192000{f'; unknown: {sorted(unknown)}' if unknown else ''}"
        )
    if onnx is not None:
        return name, Peer(lambda _model: at_rate(rate_hz, _onnx(config.parent / str(onnx))), "onnxruntime")
    words = shlex.split(str(command))
    if not {"{in}", "{out}"} <= set(words):
        raise PercepNetError(f"{config}: the command of {name!r} needs the words {{in}} and {{out}}")
    return name, Peer(lambda _model: at_rate(rate_hz, partial(_run_command, words, rate_hz)), "")


def _run_command(words: Sequence[str], rate_hz: int, noisy: Samples) -> Samples:
    with tempfile.TemporaryDirectory(prefix="percepnet-") as folder:
        files = {"{in}": Path(folder) / "in.wav", "{out}": Path(folder) / "out.wav"}
        soundfile.write(files["{in}"], noisy, rate_hz, subtype="PCM_16")
        command = [str(files.get(word, word)) for word in words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False)
        if done.returncode or not files["{out}"].is_file():
            said = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["and said nothing"]
            raise PercepNetError(f"{words[0]} ended with {done.returncode}, without a result: {said[0][:300]}")
        y, y_rate_hz = soundfile.read(files["{out}"], dtype="float32", always_2d=True)
    return resampled(y[:, 0], y_rate_hz, rate_hz)


def _onnx(path: Path) -> Process:
    import onnxruntime

    if not path.is_file():
        raise PercepNetError(f"{path}: no such file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]

    def run(noisy: Samples) -> Samples:
        x = noisy.reshape((1,) * (len(entry.shape) - 1) + (-1,))
        return np.asarray(session.run(None, {entry.name: x})[0], np.float32).reshape(-1)

    return run


def start_system(name: str, model: str | None = None, config: Path | None = None) -> Process | Oracle:
    """A system, ready and warm.

    Parameters
    ----------
    name : str
        A key of `load_peers`.
    model : str, optional
        Name or path of percepnet's model.
    config : path, optional
        As for `load_peers`.

    Raises
    ------
    PercepNetError
        If the name is unknown; or the system is not installed or does not start, with what to install.
    """
    peers = load_peers(config)
    if name not in peers:
        raise PercepNetError(f"unknown system {name!r}: choose from {', '.join(peers)}")
    package = peers[name].package
    try:
        return peers[name].start(model)
    except (ImportError, OSError) as error:
        raise PercepNetError(f"{package} cannot be imported ({error}): pip install {package}") from error
    except PercepNetError:
        raise
    except Exception as error:  # a package that does not fit to another one fails in ways of its own
        raise PercepNetError(f"{package or name} does not start: {type(error).__name__}: {error}") from error


def system_version(name: str, model: str | None = None, config: Path | None = None) -> str:
    """What has to be the same for a system to give the same again: of a package its number, of percepnet its files.

    Raises
    ------
    PercepNetError
        For an unknown name.
    """
    peers = load_peers(config)
    if name not in peers:
        raise PercepNetError(f"unknown system {name!r}: choose from {', '.join(peers)}")
    package = peers[name].package
    if name == "noisy":
        return "1"
    if name not in PEERS and config is not None:
        return hashlib.sha256(config.read_bytes()).hexdigest()
    if name == ORACLE:
        return _oracle_digest(load_model(model).params)
    if package == "percepnet":
        return _percepnet_digest(SMALL if name == SMALL else model)
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return package


@lru_cache(maxsize=8)
def _percepnet_digest(model: str | None) -> str:
    """Hash of the weights and of the code that runs them."""
    folder = Path(percepnet.__file__).parent
    files = [*folder.glob("*.py"), *folder.glob("_core*"), *folder.glob("reference/*.py"), *folder.glob("model/*.py")]
    weights = (
        Path(model)
        if model and Path(model).is_file()
        else folder / "model" / "weights" / f"{model or 'default'}.safetensors"
    )
    return _digest(engine(), [*sorted(files), weights])


def _oracle_digest(params: SignalParams) -> str:
    """Hash of the signal path in NumPy, which is all that decides and runs."""
    return _digest(repr(params), sorted((Path(percepnet.__file__).parent / "reference").glob("*.py")))


def _digest(first: str, files: Sequence[Path]) -> str:
    digest = hashlib.sha256(first.encode())
    for path in files:
        digest.update(path.read_bytes() if path.is_file() else str(path).encode())
    return digest.hexdigest()


def _cpu_s() -> float:
    """Time of the processor so far, of this process, finely, and of its children, in steps of 10 ms."""
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


def real_time_factor(enhanced: Enhanced, samples: int) -> float:
    """Seconds of one processor for a second of sound."""
    return enhanced.cpu_s / ((samples + DELAY_MAX_SAMPLES) / SAMPLE_RATE_HZ)
