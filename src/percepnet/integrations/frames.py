"""16-bit frames of a call in, as many samples out: what every framework wants, over one `Enhancer`."""

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from percepnet.errors import AudioError, PercepNetError
from percepnet.live_stream import checked_flag, checked_limit
from percepnet.model import Model
from percepnet.params import FRAMES_PER_SECOND
from percepnet.stream import Enhancer, ModelLike, model_of

Int16 = npt.NDArray[np.int16]


class FrameStream:
    """Enhances the frames of a call, each as long as it was, with a constant delay.

    It opens with the first frame, and anew if the rate or the number of channels changes. A rate that cannot be
    enhanced passes through with one warning: a call goes on whatever happens.

    Parameters
    ----------
    model : Model, str, path or None
        As of `percepnet.Enhancer`. It is loaded here, so that the first frame does not wait for it.
    attenuation_limit_db : float or None
    post_filter, comb_filter, link_channels : bool
        As of `percepnet.Enhancer`.
    enabled : bool
        False gives the frames back as they are, as late as ever.

    Raises
    ------
    ModelError
        For a model that cannot be loaded.
    PercepNetError
        For a setting that cannot be.

    Examples
    --------
    >>> import numpy as np
    >>> stream = FrameStream(model="small")
    >>> frame = np.zeros(960, np.int16)  # 20 ms at 48 kHz
    >>> len(stream.process(frame, 48000)), stream.latency_s
    (960, 0.03)
    """

    def __init__(
        self,
        model: ModelLike = None,
        *,
        attenuation_limit_db: float | None = None,
        post_filter: bool = False,
        comb_filter: bool = True,
        link_channels: bool = True,
        enabled: bool = True,
    ) -> None:
        self.model: Model = model_of(model)
        self._limit_db = checked_limit(attenuation_limit_db)
        self._settings: dict[str, Any] = {
            "post_filter": post_filter, "comb_filter": comb_filter, "link_channels": link_channels
        }  # fmt: skip
        self._enabled = checked_flag(enabled, "enabled")
        self._probability: float | None = None
        self._enhancer: Enhancer | None = None
        self._form: tuple[int, int] | None = None  # rate and channels that the enhancer was asked for
        self._block_samples = 0
        self._opened(48_000, 1, 0).close()  # wrong settings are refused here, not in a call

    @property
    def enabled(self) -> bool:
        """Whether frames are enhanced; it can be set at any time, from any thread, without a click."""
        return self._enabled

    @enabled.setter
    def enabled(self, enabled: bool) -> None:
        self._enabled = checked_flag(enabled, "enabled")
        if self._enhancer is not None:
            self._enhancer.bypass = not self._enabled

    @property
    def attenuation_limit_db(self) -> float | None:
        """The most by which anything is attenuated, in dB, or None; it can be set at any time."""
        return self._limit_db

    @attenuation_limit_db.setter
    def attenuation_limit_db(self, limit_db: float | None) -> None:
        self._limit_db = checked_limit(limit_db)
        if self._enhancer is not None:
            self._enhancer.attenuation_limit_db = self._limit_db

    @property
    def latency_s(self) -> float:
        """Seconds that what comes out is late; 0 before the first frame."""
        return self._enhancer.latency_samples / self._enhancer.sample_rate if self._enhancer else 0.0

    @property
    def speech_probability(self) -> float | None:
        """Probability that the last frame was speech; None before it, or if the model does not say.

        It can be asked for from any thread, while another one is in a call.
        """
        return self._probability

    def process(self, frame: Int16, sample_rate: int, channels: int = 1) -> Int16:
        """Enhance the next frame.

        Parameters
        ----------
        frame : np.ndarray [shape=(samples * channels,), dtype=int16]
            Samples of channels alternate.
        sample_rate : int
        channels : int

        Returns
        -------
        np.ndarray [shape=(samples * channels,), dtype=int16]

        Raises
        ------
        AudioError
            For a number of channels that does not fit the frame.
        """
        if channels < 1 or frame.size % channels:
            raise AudioError(f"a frame of {frame.size} samples is not of {channels} channels: give each its samples")
        enhancer = self._enhancer_for(frame.size // channels, sample_rate, channels)
        if enhancer is None:
            return frame
        if channels == 1:  # most calls, for which there is a quick way
            y: Int16 = enhancer.process(frame)
        else:
            x = np.ascontiguousarray(frame.reshape(-1, channels).T)
            y = np.ascontiguousarray(enhancer.process(x).T).reshape(-1)
        self._probability = enhancer.speech_probability
        return y

    def close(self) -> None:
        """Give the memory back; the next frame opens it again."""
        if self._enhancer is not None:
            self._enhancer.close()
        self._enhancer, self._form, self._probability = None, None, None

    def _enhancer_for(self, samples: int, sample_rate: int, channels: int) -> Enhancer | None:
        fits = not self._block_samples or samples % self._block_samples == 0
        if self._form != (sample_rate, channels) or not fits:
            refused = self._form == (sample_rate, channels) and self._enhancer is None
            if refused:
                return None
            self.close()
            self._form = (sample_rate, channels)
            # frames of whole 10 ms need no more delay to come back whole; those of other lengths need up to 10 ms
            hop, rest = divmod(sample_rate, FRAMES_PER_SECOND)
            self._block_samples = hop if hop and not rest and samples % hop == 0 else 1
            try:
                self._enhancer = self._opened(sample_rate, channels, self._block_samples)
            except PercepNetError as error:
                warnings.warn(f"percepnet: the sound passes through unchanged: {error}", RuntimeWarning, 3)
        return self._enhancer

    def _opened(self, sample_rate: int, channels: int, block_samples: int) -> Enhancer:
        enhancer = Enhancer(
            sample_rate,
            channels,
            model=self.model,
            attenuation_limit_db=self._limit_db,
            invalid="silence",
            block_samples=block_samples,
            **self._settings,
        )
        enhancer.bypass = not self._enabled
        return enhancer


class HasFrameStream:
    """What the adapters of all frameworks say of the stream that they have."""

    stream: FrameStream

    @property
    def enabled(self) -> bool:
        """Whether it enhances; otherwise frames are as they were, as late as ever."""
        return self.stream.enabled

    @enabled.setter
    def enabled(self, enabled: bool) -> None:
        self.stream.enabled = enabled

    @property
    def latency_s(self) -> float:
        """Seconds that the sound is late; 0 before the first frame."""
        return self.stream.latency_s

    @property
    def speech_probability(self) -> float | None:
        """Of the last frame; None if the model does not say."""
        return self.stream.speech_probability
