"""`percepnet live` for minutes on private sound servers: dropouts, whether the delay stays, and what it costs.

    python benchmarks/soak_live.py [--minutes 10] [--server pulseaudio pipewire] [--model default]

Needs Linux with PulseAudio or PipeWire (apt install pulseaudio pipewire pipewire-pulse wireplumber libasound2-plugins),
and for the comparison RNNoise (pip install pyrnnoise). One program records what goes into the microphone and what comes
out of the loudspeaker. On PipeWire both lie in one graph, so that their distance is the whole delay, to the sample. On
PulseAudio each has a clock of its own, of which the ages of samples tell, by libpulse: straight lines through them.
The first minute, in which clocks are not known yet, is left out.
"""

import argparse
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from sound_servers import Server, pipewire, pulseaudio  # noqa: E402

CLIP = sorted((ROOT / "examples/clips/noisy").iterdir())[0]
RATE_HZ = 48000
WINDOW_S = 5
LAG_MAX_S = 2  # the clip is repeated: more would find its next turn
FRAME_S = 0.01
SETTLING_S = 60  # until both clocks are known
STARTING_S = 10  # until the program runs: who comes to a server later may change how it moves sound


def lag_samples(x: np.ndarray, y: np.ndarray) -> int:
    """How much later y is."""
    size = 1 << (len(x) + len(y)).bit_length()
    lag = int(np.argmax(np.fft.irfft(np.fft.rfft(y, size) * np.conj(np.fft.rfft(x, size)))))
    return lag - size if lag > size // 2 else lag


def record_both(server: Server, name: str, path: Path) -> subprocess.Popen:
    """One program that records microphone and loudspeaker."""
    if name == "pulseaudio":
        program = str(ROOT / "benchmarks/pulse_monitors.py")
        return server.start(sys.executable, program, str(path), "fakemic.monitor", "speaker.monitor")
    properties = "{ node.name=both node.autoconnect=false }"
    options = ["--rate", str(RATE_HZ), "--channels", "2", "--format", "f32"]
    process = server.start("pw-record", "-P", properties, *options, str(path))
    server.until("pw-dump", shows='"both"')
    time.sleep(0.5)
    ports = {}
    for kind in ("-o", "-i"):
        ports[kind] = server.run("pw-link", kind).stdout.split()
    inputs = [port for port in ports["-i"] if port.startswith("both:")]
    for node, port in zip(("fakemic", "speaker"), inputs, strict=True):
        server.run("pw-link", next(x for x in ports["-o"] if x.startswith(f"{node}:monitor")), port)
    return process


class Both:
    """What was recorded of microphone and loudspeaker."""

    def __init__(self, path: Path) -> None:
        if path.suffix == ".wav":
            samples = soundfile.read(path, dtype="float32")[0]
            self.x, self.y = samples[:, 0], samples[:, 1]
            self._times = None
        else:
            found = np.load(path)
            self.x, self.y = found["samples0"], found["samples1"]
            self._times = found["times0"], found["times1"]

    def delay_ms(self, start: int, lag: int) -> float:
        """From the microphone to the loudspeaker, where it is so many samples in the files."""
        if self._times is None:  # both are in one graph, and on one clock
            return 1000 * lag / RATE_HZ
        middle = start + WINDOW_S * RATE_HZ // 2
        heard_s, played_s = (self._time_s(*pair) for pair in zip(self._times, (middle, middle + lag), strict=True))
        return 1000 * (played_s - heard_s)

    @staticmethod
    def _time_s(times: np.ndarray, sample: int) -> float:
        """By a straight line through all ages, each of which is off by some milliseconds."""
        return float(np.polynomial.Polynomial.fit(times[:, 0], times[:, 1], 1)(sample))


def soak(name: str, minutes: float, model: str, buffer_ms: float) -> dict[str, object]:
    """Run it, and measure."""
    with pulseaudio() if name == "pulseaudio" else pipewire(pulse=True) as server:
        command = [sys.executable, "-m", "percepnet", "live", "--model", model, "--json", "--buffer", str(buffer_ms)]
        noisy, _ = soundfile.read(CLIP, dtype="float32")
        # one program that never stops, as a microphone does not: where one begins, a null sink takes back what it had
        turns = int(60 * (minutes + 2) * RATE_HZ / len(noisy)) + 1
        soundfile.write(server.folder / "noisy.wav", np.tile(noisy, turns), RATE_HZ, "PCM_16")
        server.start("paplay", "-d", "fakemic", str(server.folder / "noisy.wav"))
        time.sleep(2)
        # with a terminal, so that the view is drawn
        quoted = " ".join(command) + f" --duration {60 * minutes + SETTLING_S + 3}"
        shown = server.folder / "shown.txt"  # a terminal that is not read would hold up the program
        with shown.open("wb") as file:
            live = server.start("script", "-qefc", quoted, "/dev/null", stdout=file, stderr=subprocess.STDOUT)
        time.sleep(STARTING_S)
        path = server.folder / ("both.npz" if name == "pulseaudio" else "both.wav")
        recorder = record_both(server, name, path)
        time.sleep(SETTLING_S + 60 * minutes - STARTING_S)
        recorder.send_signal(signal.SIGINT)
        recorder.wait(60)
        live.wait(60)
        output = shown.read_text(errors="replace")
        figures = json.loads(output[output.rindex("\n{") if "\n{" in output else output.index("{") :])
        both = Both(path)
    count = min(len(both.x), len(both.y))
    window, lags, delays = WINDOW_S * RATE_HZ, [], []
    for start in range(SETTLING_S * RATE_HZ, count - window - LAG_MAX_S * RATE_HZ, window):
        part = both.x[start : start + window]
        if np.abs(part).max() > 0.01:
            lags.append(lag_samples(part, both.y[start : start + window + LAG_MAX_S * RATE_HZ]))
            delays.append(both.delay_ms(start, lags[-1]))
    lags_ms = 1000 * np.array(lags) / RATE_HZ
    return {
        "server": name,
        "minutes": round(figures["duration_s"] / 60, 2),
        "dropouts": figures["dropouts"],
        "reopened": figures["reopened"],
        "reported_ms": figures["delay_ms"],
        "reported_device_ms": figures["device_ms"],
        "flags": figures["flags"],
        # of the sound of the two in the files; every 5 s
        "in_files_ms": [float(lags_ms.min()), float(np.median(lags_ms)), float(lags_ms.max())],
        "in_files_each_minute_ms": [round(float(lag), 2) for lag in lags_ms[:: 60 // WINDOW_S]],
        "measured_ms": [float(min(delays)), float(np.median(delays)), float(max(delays))],
        "measured_each_minute_ms": [round(float(delay), 2) for delay in delays[:: 60 // WINDOW_S]],
        "load": figures["load"],
        "processor_ms_a_frame": 1000 * FRAME_S * figures["processor_running"],
    }


def rnnoise_paced_ms(seconds: float) -> float | None:
    """What RNNoise's frames alone take, one every 10 ms."""
    try:
        from pyrnnoise import RNNoise
    except ImportError:
        return None
    noise = (3000 * np.random.default_rng(0).normal(size=480)).astype(np.int16)
    denoiser = RNNoise(sample_rate=RATE_HZ)
    denoiser.channels = 1
    taken = []
    for _ in range(int(seconds / FRAME_S)):
        start = time.perf_counter()
        for _frame in denoiser.denoise_chunk(noise[None]):
            pass
        taken.append(time.perf_counter() - start)
        time.sleep(max(0.0, FRAME_S - taken[-1]))
    return 1000 * float(np.mean(taken))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--server", nargs="+", choices=["pulseaudio", "pipewire"], default=["pulseaudio", "pipewire"])
    parser.add_argument("--model", default="default")
    parser.add_argument("--buffer", type=float, default=50, help="ms, as of percepnet live")
    arguments = parser.parse_args()
    for name in arguments.server:
        print(json.dumps(soak(name, arguments.minutes, arguments.model, arguments.buffer), indent=2), flush=True)
    print(json.dumps({"rnnoise_paced_ms_a_frame": rnnoise_paced_ms(20)}))


if __name__ == "__main__":
    main()
