"""One file through the enhancer: decoded to its end, levels measured, written whole."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from percepnet.arrays import Samples
from percepnet.audio import AudioInfo, Wishes, create_audio, open_audio
from percepnet.beamforming import Beamformer, check_microphones
from percepnet.bulk.content import EXCERPT_S, EXCERPTS, Content, look_into
from percepnet.bulk.far_end import far_end_of
from percepnet.bulk.levels import LevelMeter
from percepnet.errors import AudioError
from percepnet.plot import Spectrogram, save_before_after
from percepnet.stream import LONG_BLOCK_S, Enhancer, enhance_blocks

_DRAWING = threading.Lock()
Advance = Callable[[float], None]  # takes the share of the file that is done


@dataclass(frozen=True)
class Job:
    """A recording, and where its result goes."""

    source: Path
    target: Path

    @property
    def picture(self) -> Path:
        return self.target.with_suffix(".png")


@dataclass(frozen=True)
class Settings:
    """How recordings are enhanced, and what their outputs are like.

    Attributes
    ----------
    model : Model, str, path or None
        As of `percepnet.Enhancer`.
    quality : str or None
        As of `percepnet.Enhancer`, in place of a model.
    link_channels : bool or None
        None decides it from each recording.
    salvage : bool
        Take what is there of damaged files.
    track : int or None
        Of several audio tracks, counted from 1.
    far_end : Path or None
        Of one recording: what a loudspeaker played meanwhile.
    beamform : bool
        Channels are the microphones of an array, and one channel comes out; `wishes.mono` goes with it.
    """

    model: Any = None
    attenuation_limit_db: float | None = None
    comb_filter: bool = True
    post_filter: bool = False
    link_channels: bool | None = None
    plot: bool = False
    salvage: bool = False
    track: int | None = None
    wishes: Wishes = field(default_factory=Wishes)
    far_end: Path | None = None
    quality: str | None = None
    beamform: bool = False
    second_thread: bool = False

    def enhancer(self, sample_rate_hz: int, channels: int, *, link_channels: bool) -> Enhancer | Beamformer:
        common: dict[str, Any] = {
            "model": self.model,
            "comb_filter": self.comb_filter,
            "post_filter": self.post_filter,
            "attenuation_limit_db": self.attenuation_limit_db,
            "quality": self.quality,
        }
        if self.beamform:
            return Beamformer(sample_rate_hz, channels, **common)
        far_end = self.far_end is not None
        enhancer = Enhancer(sample_rate_hz, channels, link_channels=link_channels, far_end=far_end, **common)
        if self.second_thread:
            enhancer.use_second_thread()
        return enhancer

    def described(self) -> dict[str, Any]:
        """What decides the output, for a ledger; the model is its owner's to name."""
        settings = asdict(replace(self, model=None))
        unset = [name for name in ("quality", "beamform") if not getattr(self, name)]
        left_out = ("model", "plot", "far_end", "second_thread", *unset)
        return {name: value for name, value in settings.items() if name not in left_out}


@dataclass(frozen=True)
class Result:
    """What came of one recording."""

    input: str
    output: str
    plot: str | None
    sample_rate_hz: int
    channels: int
    samples: int
    duration_s: float
    processing_s: float
    real_time_factor: float
    latency_ms: float
    channels_linked: bool | None
    level_before_dbfs: float
    level_after_dbfs: float
    pauses_before_dbfs: float
    pauses_after_dbfs: float
    looks_like_music: bool
    notes: list[str]
    far_end_offset_s: float | None = None
    echo: str = ""
    beamformed: bool = False

    def line(self) -> str:
        """All of it in one line."""
        channels = f"; {self.channels} microphones to one" if self.beamformed else ""
        if self.channels_linked is not None:
            channels = f"; channels {'linked' if self.channels_linked else 'enhanced each by itself'}"
        return (
            f"{self.output}: {self.duration_s:.2f} s in {self.processing_s:.2f} s, "
            f"real-time factor {self.real_time_factor:.3f}, delay {self.latency_ms:.1f} ms (removed); "
            f"level {self.level_before_dbfs:.1f} to {self.level_after_dbfs:.1f} dBFS, "
            f"pauses {self.pauses_before_dbfs:.0f} to {self.pauses_after_dbfs:.0f} dBFS{channels}{self.echo}"
        )


def enhance_file(job: Job, settings: Settings, advance: Advance | None = None) -> Result:
    """Enhance one recording.

    Parameters
    ----------
    job : Job
    settings : Settings
    advance : function, optional
        Is told how much of it is done, from 0 to 1; what it raises ends the work, and nothing is written.

    Raises
    ------
    AudioError
        If the recording cannot be read, or its result not be written.
    """
    with ExitStack() as stack:
        started = time.perf_counter()
        reader = stack.enter_context(open_audio(job.source, salvage=settings.salvage, track=settings.track))
        info = reader.info
        if settings.beamform:
            _check_array(job.source, info.channels)
        content = look_into(reader.excerpts(EXCERPTS, EXCERPT_S), info.sample_rate_hz)
        linked = settings.link_channels if settings.link_channels is not None else not content.independent
        if settings.plot and not info.frames_exact:
            info = replace(info, frames=sum(block.shape[1] for block in reader.blocks()))
        far = far_end_of(settings.far_end, reader) if settings.far_end else None
        pictures = [Spectrogram(info.sample_rate_hz, info.frames) for _ in range(2)] if settings.plot else []
        meters = [LevelMeter(info.sample_rate_hz) for _ in range(2)]
        before, after = (_both(meter, pictures[place : place + 1]) for place, meter in enumerate(meters))
        writer = stack.enter_context(create_audio(job.target, info, wishes=settings.wishes, original=reader))
        enhancer = settings.enhancer(info.sample_rate_hz, info.channels, link_channels=linked)
        stack.callback(enhancer.close)
        latency_ms = 1000 * enhancer.latency_samples / info.sample_rate_hz
        written = 0
        blocks = reader.blocks(LONG_BLOCK_S if settings.second_thread else 1)
        for y in enhance_blocks(enhancer, _watched(blocks, before), far.part if far else None):
            writer.write(y)
            for watcher in after:
                watcher.add(y)
            written += y.shape[1]
            if advance:
                advance(min(1.0, written / info.frames) if info.frames else 0.0)
        left_out = left_out_notes(enhancer)
        if written != reader.frames_read:
            raise AudioError(f"{job.source}: {reader.frames_read} samples became {written}: please report this")
    processing_s = time.perf_counter() - started
    if settings.plot:
        for picture in pictures:
            picture.finish()
        with _DRAWING:  # matplotlib is not made for threads
            save_before_after(job.picture, pictures[0], pictures[1], title=job.source.name)
    notes = [*reader.notes, *writer.notes, *(far.notes if far else []), *left_out]
    result = _result(job, settings, info, written, processing_s, latency_ms, linked, meters, content, notes)
    return replace(result, far_end_offset_s=far.offset_s, echo=far.line()) if far else result


def _result(
    job: Job,
    settings: Settings,
    info: AudioInfo,
    samples: int,
    processing_s: float,
    latency_ms: float,
    linked: bool,
    meters: list[LevelMeter],
    content: Content,
    notes: list[str],
) -> Result:
    duration_s = samples / info.sample_rate_hz
    music = ["looks like music: speech is kept, and everything else attenuated"] if content.music else []
    return Result(
        input=str(job.source),
        output=str(job.target),
        plot=str(job.picture) if settings.plot else None,
        sample_rate_hz=info.sample_rate_hz,
        channels=info.channels,
        samples=samples,
        duration_s=duration_s,
        processing_s=processing_s,
        real_time_factor=processing_s / duration_s,
        latency_ms=latency_ms,
        channels_linked=linked if info.channels > 1 and not settings.beamform else None,
        level_before_dbfs=round(meters[0].level_dbfs, 2),
        level_after_dbfs=round(meters[1].level_dbfs, 2),
        pauses_before_dbfs=meters[0].pauses_dbfs,
        pauses_after_dbfs=meters[1].pauses_dbfs,
        looks_like_music=content.music,
        notes=list(dict.fromkeys([*notes, *music])),
        beamformed=settings.beamform,
    )


def _check_array(path: Path, channels: int) -> None:
    try:
        check_microphones(channels)
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from error


def left_out_notes(enhancer: Enhancer | Beamformer) -> list[str]:
    """Microphones that were of no use, counted from 1."""
    if not isinstance(enhancer, Beamformer):
        return []
    return [f"channel {channel + 1} {why}, and was left out" for channel, why in sorted(enhancer.left_out.items())]


def _both(meter: LevelMeter, pictures: list[Spectrogram]) -> list[Any]:
    return [meter, *pictures]


def _watched(blocks: Iterable[Samples], watchers: Iterable[Any]) -> Iterator[Samples]:
    for x in blocks:
        for watcher in watchers:
            watcher.add(x)
        yield x
