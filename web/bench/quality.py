"""The example clips through RNNoise (@jitsi/rnnoise-wasm, in Node) and percepnet: `python web/bench/quality.py`."""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from pesq import pesq
from pystoi import stoi
from scipy.signal import resample_poly

from percepnet import enhance

ROOT = Path(__file__).resolve().parents[2]


def rnnoise(x: np.ndarray) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        x.astype(np.float32).tofile(f"{folder}/x")
        script = ROOT / "web" / "bench" / "rnnoise.mjs"
        subprocess.run(["node", str(script), f"{folder}/x", f"{folder}/y"], check=True)
        return np.fromfile(f"{folder}/y", np.float32)


def aligned(y: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """Shifted to where it fits best, up to 50 ms."""
    n = len(clean)
    products = np.fft.irfft(np.fft.rfft(y, 2 * n) * np.conj(np.fft.rfft(clean, 2 * n)))[:2400]
    late = int(np.argmax(products))
    return np.concatenate([y[late:], np.zeros(late, np.float32)])


def main() -> None:
    systems = {
        "noisy": lambda x: x,
        "RNNoise (@jitsi/rnnoise-wasm)": rnnoise,
        "percepnet small": lambda x: enhance(x, 48000, model="small"),
        "percepnet default": lambda x: enhance(x, 48000),
    }
    print("| | PESQ-WB | STOI |\n|---|---|---|")
    for name, run in systems.items():
        scores = []
        for path in sorted((ROOT / "examples" / "clips" / "noisy").glob("*.flac")):
            noisy, _ = soundfile.read(path, dtype="float32")
            clean, _ = soundfile.read(path.parents[1] / "clean" / path.name, dtype="float32")
            if noisy.ndim > 1:
                continue
            y = aligned(np.asarray(run(noisy)), clean)
            low = [resample_poly(signal, 1, 3) for signal in (clean, y)]
            scores.append((pesq(16000, *low, "wb"), stoi(clean, y, 48000)))
        print(f"| {name} | {np.mean([s[0] for s in scores]):.2f} | {np.mean([s[1] for s in scores]):.3f} |", flush=True)


if __name__ == "__main__":
    main()
