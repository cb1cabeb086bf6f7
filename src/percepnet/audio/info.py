"""What is known of a recording before it is decoded."""

from dataclasses import dataclass, field

from percepnet.audio.tags import Tags


@dataclass(frozen=True)
class AudioInfo:
    """Form of a recording.

    Attributes
    ----------
    frames : int
        Samples a channel: counted where that can be done without decoding, else what the header says.
    format, subtype : str
        Container and codec, in libsndfile's names, or in FFmpeg's for what only FFmpeg reads.
    frames_exact : bool
        Whether `frames` is counted. Where it is not, only decoding tells the length.
    bitrate_bps : int or None
        Of a lossy codec, on average.
    tags : Tags
        Title, cover, loudness and so on.
    has_video : bool
        Whether moving pictures come with it.
    constant_bitrate : bool
        Whether every frame of a lossy codec has that rate.
    start_s : float
        When the sound of a film begins.
    channel_mask : int or None
        Which loudspeakers the channels of a WAV file are of, where its header says so (WAVEFORMATEXTENSIBLE).
    """

    sample_rate_hz: int
    channels: int
    frames: int
    format: str
    subtype: str
    frames_exact: bool = True
    bitrate_bps: int | None = field(default=None, compare=False)
    tags: Tags = field(default_factory=Tags, compare=False, repr=False)
    has_video: bool = field(default=False, compare=False)
    constant_bitrate: bool = field(default=False, compare=False)
    start_s: float = field(default=0.0, compare=False)
    channel_mask: int | None = field(default=None, compare=False)

    @property
    def duration_s(self) -> float:
        return self.frames / self.sample_rate_hz
