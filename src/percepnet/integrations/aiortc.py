"""aiortc: a track that gives the frames of another one enhanced. See docs/bots.md, and examples/aiortc_call.py."""

from typing import Any

import numpy as np

from percepnet.errors import extra_packages
from percepnet.integrations.frames import FrameStream, HasFrameStream
from percepnet.stream import ModelLike

with extra_packages("aiortc"):
    from aiortc import MediaStreamTrack
    from aiortc.mediastreams import MediaStreamError
    from av import AudioFrame, AudioResampler


class EnhancedTrack(HasFrameStream, MediaStreamTrack):
    """The audio of a track, without its noise and reverberation.

    Timestamps, rate, layout and length of frames stay as they were; the sound in them is `latency_s` late.

    Parameters
    ----------
    track : aiortc.MediaStreamTrack
        Of kind "audio": a remote one, or one of your own before it is sent.
    model, attenuation_limit_db, post_filter
        As of `percepnet.Enhancer`.

    Examples
    --------
    >>> @peer.on("track")  # doctest: +SKIP
    ... def on_track(track):
    ...     if track.kind == "audio":
    ...         recorder.addTrack(EnhancedTrack(track))
    """

    kind = "audio"

    def __init__(
        self,
        track: MediaStreamTrack,
        *,
        model: ModelLike = None,
        attenuation_limit_db: float | None = None,
        post_filter: bool = False,
    ) -> None:
        super().__init__()
        self.track = track
        self.stream = FrameStream(model, attenuation_limit_db=attenuation_limit_db, post_filter=post_filter)
        self._to_s16: AudioResampler | None = None
        self._form: tuple[str, str, int] | None = None

    async def recv(self) -> AudioFrame:
        """The next frame.

        Raises
        ------
        MediaStreamError
            When the track has ended.
        """
        try:
            frame: Any = await self.track.recv()
        except MediaStreamError:
            self.stop()
            raise
        return self._enhanced(frame)

    def stop(self) -> None:
        """End this track; the other one goes on."""
        super().stop()
        self.stream.close()

    def _enhanced(self, frame: AudioFrame) -> AudioFrame:
        packed = self._packed(frame)
        channels = len(packed.layout.channels)
        y = self.stream.process(packed.to_ndarray().reshape(-1).astype(np.int16), packed.sample_rate, channels)
        enhanced = AudioFrame.from_ndarray(y.reshape(1, -1), format="s16", layout=packed.layout.name)
        enhanced.sample_rate, enhanced.pts, enhanced.time_base = packed.sample_rate, frame.pts, frame.time_base
        return enhanced

    def _packed(self, frame: AudioFrame) -> AudioFrame:
        """With 16-bit samples that alternate, as WebRTC has them; files and devices may have others."""
        if frame.format.name == "s16":
            return frame
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._to_s16 is None or form != self._form:  # one takes frames of one form alone
            self._to_s16, self._form = AudioResampler(format="s16"), form
        return self._to_s16.resample(frame)[0]
