"""What a frame of 20 ms costs in aiortc, pipecat and livekit: one every 20 ms, as in a call, beside RNNoise.

    pip install '.[aiortc,pipecat,livekit]' pyrnnoise
    python benchmarks/bench_frames.py [--model default] [--seconds 20]

Frameworks that are not installed are left out, and named. All take turns of a second in one process. Time is that of
the thread, from the framework's frame to the framework's frame; what the framework does besides is not in it.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile

from percepnet.errors import PercepNetError
from percepnet.integrations import FrameStream

CLIP = sorted((Path(__file__).resolve().parents[1] / "examples/clips/noisy").iterdir())[0]
RATE_HZ, FRAME = 48000, 960
FRAME_S = FRAME / RATE_HZ
TURN_FRAMES = 50
Take = Callable[[np.ndarray], Awaitable[object]]


def adapter(model: str) -> Take:
    stream = FrameStream(model)

    async def take(x: np.ndarray) -> object:
        return stream.process(x, RATE_HZ)

    return take


def in_aiortc(model: str) -> Take:
    from aiortc import MediaStreamTrack
    from av import AudioFrame

    from percepnet.integrations.aiortc import EnhancedTrack

    class Fed(MediaStreamTrack):
        kind = "audio"
        frame: AudioFrame

        async def recv(self) -> AudioFrame:
            return self.frame

    source = Fed()
    track = EnhancedTrack(source, model=model)

    async def take(x: np.ndarray) -> object:
        source.frame = AudioFrame.from_ndarray(x[None], format="s16", layout="mono")
        source.frame.sample_rate, source.frame.pts, source.frame.time_base = RATE_HZ, 0, Fraction(1, RATE_HZ)
        return await track.recv()

    return take


async def in_pipecat(model: str) -> Take:
    from percepnet.integrations.pipecat import PercepNetFilter

    audio_filter = PercepNetFilter(model=model)
    await audio_filter.start(RATE_HZ)

    async def take(x: np.ndarray) -> object:
        return await audio_filter.filter(x.tobytes())

    return take


def in_livekit(model: str) -> Take:
    from livekit import rtc

    from percepnet.integrations.livekit import PercepNetProcessor

    processor = PercepNetProcessor(model=model)

    async def take(x: np.ndarray) -> object:
        return processor._process(rtc.AudioFrame(x.tobytes(), RATE_HZ, 1, FRAME))

    return take


def rnnoise() -> Take:
    from pyrnnoise import RNNoise

    denoiser = RNNoise(sample_rate=RATE_HZ)
    denoiser.channels = 1

    async def take(x: np.ndarray) -> object:
        return [frame for half in (x[:480], x[480:]) for frame in denoiser.denoise_chunk(half[None])]

    return take


async def measure(model: str, seconds: float) -> None:
    makers = {
        "percepnet.integrations.FrameStream": lambda: adapter(model),
        "aiortc: EnhancedTrack.recv": lambda: in_aiortc(model),
        "pipecat: PercepNetFilter.filter": lambda: in_pipecat(model),
        "livekit: PercepNetProcessor": lambda: in_livekit(model),
        "RNNoise (pyrnnoise), two frames": rnnoise,
    }
    takes: dict[str, Take] = {}
    for name, make in makers.items():
        try:
            made = make()
            takes[name] = await made if asyncio.iscoroutine(made) else made
        except (ImportError, PercepNetError) as error:
            print(f"{name}: left out ({error})", file=sys.stderr)
    x = soundfile.read(CLIP, dtype="int16")[0]
    frames = x[: len(x) // FRAME * FRAME].reshape(-1, FRAME)
    taken: dict[str, list[float]] = {name: [] for name in takes}
    for turn in range(int(seconds)):
        for name, take in takes.items():
            for number in range(TURN_FRAMES):
                began, start = time.monotonic(), time.thread_time()
                await take(frames[(turn * TURN_FRAMES + number) % len(frames)])
                if turn:  # the first turn warms up
                    taken[name].append(time.thread_time() - start)
                time.sleep(max(0.0, FRAME_S - (time.monotonic() - began)))
    peer = next((np.median(t) for name, t in taken.items() if name.startswith("RNNoise")), None)
    print("| 20 ms of one channel, paced | median, µs | p99, µs | times RNNoise |\n|---|---|---|---|")
    for name, times in taken.items():
        median, high = np.percentile(np.array(times) * 1e6, (50, 99))
        print(f"| {name} | {median:.0f} | {high:.0f} | {'' if peer is None else f'{median / 1e6 / peer:.2f}'} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default")
    parser.add_argument("--seconds", type=float, default=20, help="of sound, of each")
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.model, arguments.seconds))


if __name__ == "__main__":
    main()
