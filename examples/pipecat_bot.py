"""A pipecat pipeline whose microphone is a file, recorded behind the filter: no account, no network.

pip install 'percepnet[pipecat]'
python examples/pipecat_bot.py examples/clips/noisy/sea_female.flac heard.wav
"""

import asyncio
import sys

import numpy as np
import soundfile
from pipecat.frames.frames import InputAudioRawFrame, StartFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineParams, PipelineTask
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_transport import TransportParams

from percepnet.integrations.pipecat import PercepNetFilter


class FileMicrophone(BaseInputTransport):
    """Says what is in a recording, in chunks of 20 ms; a real bot has a transport of a call here."""

    def __init__(self, x: np.ndarray, rate_hz: int, params: TransportParams) -> None:
        super().__init__(params)
        self._x, self._rate_hz = x, rate_hz
        self.ended = asyncio.Event()

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)
        self._feeding = asyncio.create_task(self._feed())

    async def _feed(self) -> None:
        samples = self._rate_hz // 50
        for start in range(0, len(self._x) - samples + 1, samples):
            chunk = self._x[start : start + samples].tobytes()
            await self.push_audio_frame(InputAudioRawFrame(chunk, self._rate_hz, 1))
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.5)
        self.ended.set()


class Recorder(FrameProcessor):
    """Where speech recognition would be."""

    def __init__(self) -> None:
        super().__init__()
        self.chunks: list[np.ndarray] = []

    async def process_frame(self, frame, direction) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            self.chunks.append(np.frombuffer(frame.audio, np.int16))
        await self.push_frame(frame, direction)


async def run(x: np.ndarray, rate_hz: int) -> np.ndarray:
    """What the bot hears."""
    noise_filter, recorder = PercepNetFilter(), Recorder()
    params = TransportParams(audio_in_enabled=True, audio_in_sample_rate=rate_hz, audio_in_filter=noise_filter)
    microphone = FileMicrophone(x, rate_hz, params)
    task = PipelineTask(
        Pipeline([microphone, recorder]), params=PipelineParams(audio_in_sample_rate=rate_hz), idle_timeout_secs=None
    )

    async def end() -> None:
        await microphone.ended.wait()
        print(f"the filter is {1000 * noise_filter.latency_s:.0f} ms late")
        await task.stop_when_done()

    await asyncio.gather(PipelineRunner(handle_sigint=False).run(task), end())
    return np.concatenate(recorder.chunks)


def main() -> None:
    x, rate_hz = soundfile.read(sys.argv[1], dtype="int16", always_2d=True)
    soundfile.write(sys.argv[2], asyncio.run(run(np.ascontiguousarray(x[:, 0]), rate_hz)), rate_hz)


if __name__ == "__main__":
    main()
