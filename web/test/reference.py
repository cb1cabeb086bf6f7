"""What the library makes natively, for the tests in JavaScript: `python reference.py FOLDER`.

Raw 32-bit floats: `x_RATE.f32`, 60 s of the example clips, and `y_RATE.f32`, what a stream on the portable kernel gives
back in calls of 128 samples. With a far end, `near_RATE.f32`, `far_RATE.f32`, what is played meanwhile, and
`z_RATE.f32`, what is given back. `microphone.wav` is what a browser takes for its microphone,
`enhanced.f32` what Python makes of it.
"""

import json
import sys
from pathlib import Path

import numpy as np
import soundfile

from percepnet import enhance, load_model
from percepnet.model import Model, residual_for
from percepnet.native import Stream

ROOT = Path(__file__).resolve().parents[2]
CLIPS = ("helicopter_male", "sea_female")
SECONDS = 60
FAR_SECONDS = 12
RATES_HZ = (48000, 44100, 16000)
QUANTUM = 128
PIECE = 50 * QUANTUM


def clips() -> np.ndarray:
    """A minute of speech in noise at 48 kHz: all clips in turn, each time at another level."""
    # steady noise, so that how far it went down can be measured behind a codec too
    found = [ROOT / "examples" / "clips" / "noisy" / f"{name}.flac" for name in CLIPS]
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < SECONDS * 48000:
        samples, _ = soundfile.read(found[len(parts) % len(found)], dtype="float32")
        mono = samples if samples.ndim == 1 else samples.mean(axis=1)
        parts.append(np.float32(10 ** (-(len(parts) % 5) * 4 / 20)) * mono)
    return np.concatenate(parts)[: SECONDS * 48000]


def at_rate(x: np.ndarray, rate_hz: int) -> np.ndarray:
    """By straight lines, after a short mean: any samples do, as long as both sides have the same."""
    smooth = np.convolve(x, np.ones(max(1, 48000 // rate_hz)) / max(1, 48000 // rate_hz), "same")
    positions = np.arange(SECONDS * rate_hz) * 48000 / rate_hz
    return np.interp(positions, np.arange(len(x)), smooth).astype(np.float32)


def far_end(x: np.ndarray, model: Model, rate_hz: int, folder: Path) -> None:
    """A microphone that hears a loudspeaker too, and what a stream makes of it."""
    samples, tail = FAR_SECONDS * rate_hz // QUANTUM * QUANTUM, rate_hz // 20
    far = np.roll(x, 5 * rate_hz)[:samples]
    far[: 2 * rate_hz] = 0  # nothing is played yet
    room = np.random.default_rng(0).standard_normal(tail) * np.exp(-5 * np.arange(tail) / tail)
    echo = np.convolve(np.concatenate([np.zeros(tail), far]), 0.1 * room)[:samples]
    near = (0.3 * x[:samples] + echo).astype(np.float32)
    options = {"block_samples": QUANTUM, "kernel": "portable", "far_end": True, "residual": residual_for(model)}
    stream = Stream(model, rate_hz, **options)
    made = stream.process(near[None], np.ascontiguousarray(far)[None])
    for name, samples_of in (("near", near), ("far", far), ("z", made)):
        samples_of.astype(np.float32).tofile(folder / f"{name}_{rate_hz}.f32")


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    x, model = clips(), load_model("small")
    facts: dict[str, object] = {"rates": {}}
    for rate_hz in RATES_HZ:
        given = x if rate_hz == 48000 else at_rate(x, rate_hz)
        given = np.ascontiguousarray(given[: len(given) // QUANTUM * QUANTUM])
        stream = Stream(model, rate_hz, block_samples=QUANTUM, kernel="portable")
        made = [stream.process(given[None, at : at + PIECE]) for at in range(0, len(given), PIECE)]
        given.tofile(folder / f"x_{rate_hz}.f32")
        np.concatenate(made, axis=1).astype(np.float32).tofile(folder / f"y_{rate_hz}.f32")
        far_end(given, model, rate_hz, folder)
        facts["rates"][rate_hz] = stream.latency_samples  # type: ignore[index]
    microphone = x[: 24 * 48000]
    soundfile.write(folder / "microphone.wav", microphone, 48000, "PCM_16")
    heard, _ = soundfile.read(folder / "microphone.wav", dtype="float32")
    heard.tofile(folder / "microphone.f32")
    enhance(heard, 48000, model=model).astype(np.float32).tofile(folder / "enhanced.f32")
    (folder / "facts.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
