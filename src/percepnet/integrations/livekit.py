"""livekit: a frame processor for what an agent hears. See docs/bots.md, and examples/livekit_stream.py."""

import numpy as np

from percepnet.errors import extra_packages
from percepnet.integrations.frames import FrameStream, HasFrameStream
from percepnet.stream import ModelLike

with extra_packages("livekit"):
    from livekit.rtc import AudioFrame, FrameProcessor


class PercepNetProcessor(HasFrameStream, FrameProcessor[AudioFrame]):  # type: ignore[type-arg, unused-ignore]
    """Noise cancellation for `AudioInputOptions(noise_cancellation=...)` and `rtc.AudioStream(noise_cancellation=...)`.

    Frames come back as long as they were, `latency_s` late. After an early close, which livekit-agents does between
    tracks, the next frame opens it again.

    Parameters
    ----------
    model, attenuation_limit_db, post_filter
        As of `percepnet.Enhancer`.

    Examples
    --------
    >>> stream = rtc.AudioStream.from_track(track=track, noise_cancellation=PercepNetProcessor())  # doctest: +SKIP
    """

    def __init__(
        self, *, model: ModelLike = None, attenuation_limit_db: float | None = None, post_filter: bool = False
    ) -> None:
        self.stream = FrameStream(model, attenuation_limit_db=attenuation_limit_db, post_filter=post_filter)

    def _process(self, frame: AudioFrame) -> AudioFrame:
        x = np.frombuffer(frame.data, np.int16)
        y = self.stream.process(x, frame.sample_rate, frame.num_channels)
        return AudioFrame(
            y.tobytes(), frame.sample_rate, frame.num_channels, frame.samples_per_channel, userdata=frame.userdata
        )

    def _close(self) -> None:
        self.stream.close()
