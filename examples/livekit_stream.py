"""livekit's audio stream over a local track with our processor in it: no server, no account.

    pip install 'percepnet[livekit]'
    python examples/livekit_stream.py examples/clips/noisy/sea_female.flac heard.wav

An agent gives the same processor to `AudioInputOptions(noise_cancellation=...)`.
"""

import asyncio
import sys

import numpy as np
import soundfile
from livekit import rtc

from percepnet.integrations.livekit import PercepNetProcessor

AGENT_RATE_HZ = 24000  # what agents ask for


async def run(x: np.ndarray, rate_hz: int) -> np.ndarray:
    """What an agent hears."""
    source = rtc.AudioSource(rate_hz, 1)
    track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
    processor = PercepNetProcessor()
    stream = rtc.AudioStream.from_track(
        track=track, sample_rate=AGENT_RATE_HZ, num_channels=1, frame_size_ms=50, noise_cancellation=processor
    )
    samples = rate_hz // 100

    async def speak() -> None:
        for start in range(0, len(x) - samples + 1, samples):
            await source.capture_frame(rtc.AudioFrame(x[start : start + samples].tobytes(), rate_hz, 1, samples))

    speaking, heard = asyncio.create_task(speak()), []
    while not speaking.done() or len(heard) < 2:
        frame = (await asyncio.wait_for(anext(stream), 10)).frame
        heard.append(np.frombuffer(frame.data, np.int16).copy())
    await stream.aclose()
    print(f"{len(heard)} frames of 50 ms, {1000 * processor.latency_s:.0f} ms late")
    return np.concatenate(heard)


def main() -> None:
    x, rate_hz = soundfile.read(sys.argv[1], dtype="int16", always_2d=True)
    soundfile.write(sys.argv[2], asyncio.run(run(np.ascontiguousarray(x[:, 0]), rate_hz)), AGENT_RATE_HZ)


if __name__ == "__main__":
    main()
