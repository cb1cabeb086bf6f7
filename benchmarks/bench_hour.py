"""An hour of audio: whether memory grows, and what silence after speech costs.

    python benchmarks/bench_hour.py [--minutes 60] [--rate 48000]

A live stream through percepnet.Enhancer, one hop of 10 ms a call, and then `percepnet enhance` on a file as long.
Resident memory after the first minute and at the end; exit code 1 if it has grown by more than a megabyte. For Linux.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

import percepnet
from percepnet.arrays import Samples
from percepnet.bench.measure import rss_bytes, thread_clock
from percepnet.params import FRAMES_PER_SECOND

GROWTH_MAX_BYTES = 1_000_000
SPEECH_S, SILENCE_S = 20, 120
ENHANCE = """
import sys
from pathlib import Path
from percepnet.cli import app
app(["enhance", *sys.argv[1:]], standalone_mode=False)
lines = Path("/proc/self/status").read_text().splitlines()
print(1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))))
"""
CLIPS = Path(__file__).parents[1] / "examples" / "clips" / "noisy"


def noisy_minute(rate_hz: int) -> Samples:
    """The example clips over and over, if they are of this rate; noise otherwise."""
    clips = [soundfile.read(path, dtype="float32") for path in sorted(CLIPS.glob("*.flac"))]
    parts = [x for x, rate in clips if rate == rate_hz and x.ndim == 1]
    samples = 60 * rate_hz
    if not parts:
        return np.random.default_rng(0).uniform(-0.1, 0.1, samples).astype(np.float32)
    return np.resize(np.concatenate(parts), samples)


def live(minute: Samples, rate_hz: int, minutes: int) -> tuple[int, int, float]:
    """Memory after the first minute and at the end, in bytes; and the seconds that it took."""
    enhancer = percepnet.Enhancer(rate_hz)
    hops = np.array_split(minute, 60 * FRAMES_PER_SECOND)
    started = time.perf_counter()
    seen = []
    for _ in range(minutes):
        for hop in hops:
            enhancer.process(hop)
        seen.append(rss_bytes() or 0)
    return seen[0], seen[-1], time.perf_counter() - started


def peak_bytes(minute: Samples, rate_hz: int, minutes: int, folder: Path) -> tuple[int, float]:
    """The most memory of `percepnet enhance` on a file, in bytes; and the seconds that it took."""
    source, target = folder / f"{minutes}.wav", folder / f"{minutes}-enhanced.wav"
    with soundfile.SoundFile(source, "w", rate_hz, 1) as file:
        for _ in range(minutes):
            file.write(minute)
    started = time.perf_counter()
    command = [sys.executable, "-c", ENHANCE, str(source), "-o", str(target)]
    peak = int(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.split()[-1])
    seconds = time.perf_counter() - started
    if soundfile.info(target).frames != soundfile.info(source).frames:
        sys.exit(f"{target}: not as long as its source")
    source.unlink()
    target.unlink()
    return peak, seconds


def silence_after(speech: Samples, rate_hz: int) -> tuple[float, float, float]:
    """Median CPU time of a hop in µs: of speech, of the silence after it, and of the slowest second of that silence."""
    enhancer = percepnet.Enhancer(rate_hz)
    clock = thread_clock()
    x = np.concatenate((speech[: SPEECH_S * rate_hz], np.zeros(SILENCE_S * rate_hz, np.float32)))
    times_us = []
    for hop in np.array_split(x, len(x) * FRAMES_PER_SECOND // rate_hz):
        started_ns = clock()
        enhancer.process(hop)
        times_us.append((clock() - started_ns) / 1000)
    split = SPEECH_S * FRAMES_PER_SECOND
    seconds = np.median(np.reshape(times_us[split:], (SILENCE_S, FRAMES_PER_SECOND)), axis=1)
    return float(np.median(times_us[:split])), float(np.median(times_us[split:])), float(seconds.max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--rate", type=int, default=48000, help="of the audio, in Hz")
    arguments = parser.parse_args()
    rate_hz, minutes = arguments.rate, arguments.minutes
    minute = noisy_minute(rate_hz)
    speech_us, silence_us, slowest_us = silence_after(minute, rate_hz)
    print(
        f"a hop of speech takes {speech_us:.0f} µs, of {SILENCE_S} s of silence after it {silence_us:.0f} µs,", end=" "
    )
    print(f"in the slowest second {slowest_us:.0f} µs", flush=True)

    begin, end, seconds = live(minute, rate_hz, minutes)
    growths = [end - begin]
    print(f"live: {begin / 1e6:.1f} MB after 1 minute, {end / 1e6:.1f} MB after {minutes}; {seconds:.0f} s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        short, _ = peak_bytes(minute, rate_hz, 1, Path(folder))
        long, seconds = peak_bytes(minute, rate_hz, minutes, Path(folder))
    growths.append(long - short)
    print(f"a file: at most {short / 1e6:.1f} MB for 1 minute, {long / 1e6:.1f} MB for {minutes}; {seconds:.0f} s")
    if max(growths) > GROWTH_MAX_BYTES:
        sys.exit("memory has grown")


if __name__ == "__main__":
    main()
