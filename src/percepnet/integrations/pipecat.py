"""pipecat: a filter for a transport's input, and its speech probability as a VAD analyser.

See docs/bots.md, and examples/pipecat_bot.py.
"""

import numpy as np

from percepnet.errors import PercepNetError, extra_packages
from percepnet.integrations.frames import FrameStream, HasFrameStream
from percepnet.params import FRAMES_PER_SECOND
from percepnet.stream import ModelLike

with extra_packages("pipecat"):
    from pipecat.audio.filters.base_audio_filter import BaseAudioFilter
    from pipecat.audio.vad.vad_analyzer import VADAnalyzer, VADParams
    from pipecat.frames.frames import FilterControlFrame, FilterEnableFrame, FilterUpdateSettingsFrame


class PercepNetFilter(HasFrameStream, BaseAudioFilter):
    """Enhances what comes into a transport, before VAD and speech recognition.

    `FilterEnableFrame` switches it, and `FilterUpdateSettingsFrame({"attenuation_limit_db": 20})` sets its limit, while
    it runs. Chunks come back as long as they were, `latency_s` late.

    Parameters
    ----------
    model, attenuation_limit_db, post_filter
        As of `percepnet.Enhancer`.

    Examples
    --------
    >>> TransportParams(audio_in_enabled=True, audio_in_filter=PercepNetFilter())  # doctest: +SKIP
    """

    def __init__(
        self, *, model: ModelLike = None, attenuation_limit_db: float | None = None, post_filter: bool = False
    ) -> None:
        self.stream = FrameStream(model, attenuation_limit_db=attenuation_limit_db, post_filter=post_filter)
        self._sample_rate = 0

    async def start(self, sample_rate: int) -> None:
        """Begin a stream of a rate."""
        self._sample_rate = sample_rate

    async def stop(self) -> None:
        """End it; it can be started again."""
        self.stream.close()

    async def process_frame(self, frame: FilterControlFrame) -> None:
        """Follow a control frame.

        Raises
        ------
        PercepNetError
            For a limit that is none.
        """
        if isinstance(frame, FilterEnableFrame):
            self.stream.enabled = frame.enable
        elif isinstance(frame, FilterUpdateSettingsFrame) and "attenuation_limit_db" in frame.settings:
            self.stream.attenuation_limit_db = frame.settings["attenuation_limit_db"]

    async def filter(self, audio: bytes) -> bytes:
        """The next chunk of 16-bit samples, enhanced."""
        if not self._sample_rate:
            return audio
        return self.stream.process(np.frombuffer(audio, np.int16), self._sample_rate).tobytes()

    def vad_analyzer(self, params: VADParams | None = None) -> "PercepNetVAD":
        """A VAD analyser that says what this filter has heard.

        Parameters
        ----------
        params : VADParams, optional

        Raises
        ------
        PercepNetError
            If the model does not say how probable speech is.
        """
        return PercepNetVAD(self, params=params)


class PercepNetVAD(VADAnalyzer):
    """Voice activity from the network that enhances, at no cost of its own.

    Where pipecat analyses: in a `VADProcessor` or a user aggregator behind the transport that has the filter as its
    `audio_in_filter`, or in that transport, up to pipecat 0. Its answer is of the chunk that was filtered last.

    Parameters
    ----------
    source : PercepNetFilter
    params : VADParams, optional

    Raises
    ------
    PercepNetError
        If the model does not say how probable speech is.
    """

    def __init__(self, source: PercepNetFilter, *, params: VADParams | None = None) -> None:
        if "speech" not in source.stream.model.architecture.heads:
            raise PercepNetError("this model does not say how probable speech is: use another VAD analyser with it")
        super().__init__(params=params)
        self._source = source

    def num_frames_required(self) -> int:
        """10 ms."""
        return self.sample_rate // FRAMES_PER_SECOND

    def voice_confidence(self, buffer: bytes) -> float:
        """What the network said of the chunk that the filter had last; pipecat asks in a thread of its own."""
        return self._source.speech_probability or 0.0
