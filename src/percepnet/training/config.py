"""Settings of a run: what there is to set, what is refused, and what a resumed run keeps."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from percepnet.acoustics.echoes import EchoConfig
from percepnet.acoustics.mixing import MixingConfig
from percepnet.errors import PercepNetError
from percepnet.model import PRESETS
from percepnet.params import BAND_EDGES, HIGHPASS_HZ
from percepnet.training.checkpoint import CHECKPOINT_NAME
from percepnet.training.device.config import SourceConfig
from percepnet.training.features import RING_SHARDS, SEQUENCE_SECONDS, SHARD_SEQUENCES
from percepnet.training.loss import LossWeights
from percepnet.training.opinion_loss import opinion_weights
from percepnet.training.signal_loss import SignalLossWeights
from percepnet.training.sparsity import SparsityConfig
from percepnet.training.teaching import TeacherConfig
from percepnet.typed import convert

SETTINGS_NAME = "settings.json"


@dataclass(frozen=True)
class Config:
    """Settings of a run.

    Parameters
    ----------
    out : str
        The run's folder.
    speech, noise, rooms : tuple of str
        Manifests, folders or files. Noise and rooms are synthetic where there are none.
    exclude : tuple of str
        Recordings with this in their path are left out.
    speech_weights : dict of str to float
        Factor on how often a source of speech is drawn.
    preset : str or None
        Architecture, by name; None for `small`, or for that of `init`.
    init : str or None
        A model, by name or path, to start from; it grows where `preset` is wider.
    resume : bool
        Continue the run in `out`, with its own settings; only limits, threads and workers may change.
    layers : tuple of str
        Layers of `init` that are trained, all others staying as they are; all if none are named.
    shapes_bins : bool
        Whether `init` is given a network for bins if it has none, which a loss by ear in `signal` trains. At first it
        changes nothing.
    bands : int or None
        34, the article's, or 48; None for 34, or for those of `init`. From one to the other `init` is interpolated.
    lookahead_frames : int
    highpass_hz : float
        Corner of the high-pass in front of everything, 0 for none; of a network that does not start from `init`.
    features : tuple of str
        Blocks that the network is given (`percepnet.params.FEATURE_SIZES`); none for those of `init`, which are among
        any that are named here, or for `TRAINED_FEATURES`.
    seed : int
    batch : int
        Sequences trained on side by side, by each process.
    chunk_frames : int
        Frames between updates; state is carried on from chunk to chunk of a sequence.
    learning_rate, warmup_updates, decay : float
        The rate rises for `warmup_updates`, then falls as 1 / (1 + decay * updates).
    cooldown_share : float
        The last share of the limit, over which the rate falls to a twentieth.
    average : float
        Decay of the running average of the weights, which is what becomes the model.
    hours, updates : float or None
        Limits of the whole run, in hours of training or updates; None for no limit. A resumed run keeps its own where
        neither is given.
    checkpoint_minutes, validate_minutes : float
    workers : int
        Processes that make features; 0 trains on the shards that are there.
    threads : int
        Of the training's arithmetic.
    ring, shard_sequences, sequence_seconds
        Of the features that are kept.
    reproducible : bool
        Let the shards that are drawn from follow from the number of updates, and wait for them: the run then depends
        on its settings alone, not on what else the machine has to do.
    expected_reuse : float
        How often each sequence is drawn in a reproducible run, on average.
    tensorboard : bool
        Also write the events that TensorBoard shows.
    loss : LossWeights
    mixing : MixingConfig
    source : SourceConfig
        Whether mixtures are made on the device that trains; processes, shards and `reproducible` are then not needed.
    echo : EchoConfig
        How echo is made, for networks that suppress what is left of it.
    signal : SignalLossWeights
        Of a loss on the enhanced sound, with such a source.
    sparsity : SparsityConfig
    teacher : TeacherConfig
        Networks to learn from beside the recordings.
    """

    out: str
    speech: tuple[str, ...] = ()
    noise: tuple[str, ...] = ()
    rooms: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    speech_weights: dict[str, float] = field(default_factory=dict)
    preset: str | None = None
    init: str | None = None
    resume: bool = False
    layers: tuple[str, ...] = ()
    shapes_bins: bool = False
    bands: int | None = None
    lookahead_frames: int = 2
    highpass_hz: float = HIGHPASS_HZ
    features: tuple[str, ...] = ()
    seed: int = 0
    batch: int = 32
    chunk_frames: int = 125
    learning_rate: float = 1e-3
    warmup_updates: int = 200
    decay: float = 5e-5
    cooldown_share: float = 0.2
    average: float = 0.999
    hours: float | None = None
    updates: int | None = None
    checkpoint_minutes: float = 10.0
    validate_minutes: float = 15.0
    workers: int = 1
    threads: int = 1
    ring: int = RING_SHARDS
    shard_sequences: int = SHARD_SEQUENCES
    sequence_seconds: float = SEQUENCE_SECONDS
    reproducible: bool = False
    expected_reuse: float = 2.0
    tensorboard: bool = False
    loss: LossWeights = field(default_factory=LossWeights)
    mixing: MixingConfig = field(default_factory=MixingConfig)
    source: SourceConfig = field(default_factory=SourceConfig)
    echo: EchoConfig = field(default_factory=EchoConfig)
    signal: SignalLossWeights = field(default_factory=SignalLossWeights)
    sparsity: SparsityConfig = field(default_factory=SparsityConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)


NAMED_BEFORE = {"hearings": "expected_reuse"}  # settings that recipes and runs of former versions call otherwise
# What a resumed run may be given anew; everything else is as it was started.
CHANGEABLE = ("out", "resume", "hours", "updates", "checkpoint_minutes", "validate_minutes", "workers", "threads")


def settled(config: Config) -> Config:
    """The settings that a run goes by: checked, with absolute paths, and those of before where it is resumed.

    Raises
    ------
    PercepNetError
        If a setting is out of range, if the folder holds another run, or if there is nothing to resume.
    """
    run = Path(config.out)
    if config.resume:
        saved = read_settings(run / SETTINGS_NAME)
        given = {name: getattr(config, name) for name in CHANGEABLE}
        if config.hours is None and config.updates is None:
            given |= {"hours": saved.hours, "updates": saved.updates}
        return _timeless(replace(saved, tensorboard=saved.tensorboard or config.tensorboard, **given))
    if (run / CHECKPOINT_NAME).exists():
        raise PercepNetError(f"{run} holds a training already; continue it with --resume, or choose another folder")
    if not config.speech:
        raise PercepNetError("give speech to train on: --speech FOLDER_OR_MANIFEST")
    if config.preset is not None and config.preset not in PRESETS:
        raise PercepNetError(f"no preset {config.preset!r}; there are: {', '.join(PRESETS)}")
    if config.bands is not None and config.bands not in BAND_EDGES:
        raise PercepNetError(f"bands is {config.bands}; there are: {', '.join(map(str, BAND_EDGES))}")
    positive = ("batch", "chunk_frames", "threads", "ring", "shard_sequences")
    if wrong := [name for name in positive if getattr(config, name) < 1]:
        raise PercepNetError(f"{wrong[0]} is {getattr(config, wrong[0])}; it must be at least 1")
    _check_losses(config)
    if config.layers and config.init is None:
        raise PercepNetError("layers: a network that does not start from another is trained whole; give --init, too")
    if config.shapes_bins and (config.init is None or not config.signal.heard):
        raise PercepNetError(
            "shapes_bins: a network for bins is trained by ear, beside another; give --init and [signal]"
        )
    if config.expected_reuse <= 0:
        raise PercepNetError(f"expected_reuse is {config.expected_reuse}; it must be above 0")
    absolute = {
        kind: tuple(str(Path(place).resolve()) for place in getattr(config, kind))
        for kind in ("speech", "noise", "rooms")
    }
    return _timeless(replace(config, **absolute))  # type: ignore[arg-type]


def _check_losses(config: Config) -> None:
    if config.signal.present and not config.source.device:
        raise PercepNetError("[signal]: a loss on the enhanced sound needs [source] device = true")
    if config.signal.opinions < 1:
        raise PercepNetError(f"[signal] opinions is {config.signal.opinions}; it must be at least 1")
    if config.signal.asked:
        opinion_weights()  # which says what is missing, before anything is decoded
    _ = config.loss.band_shifts  # which refuses what names no bands
    if config.teacher.present and config.source.device:
        raise PercepNetError("[teacher] models: teachers label what processes make; leave [source] device away")


def _timeless(config: Config) -> Config:
    if config.reproducible and config.hours:
        raise PercepNetError("how far a training gets in an hour is not reproducible: give --updates, not --hours")
    return config


def read_settings(path: Path) -> Config:
    """The settings that a run was started with.

    Raises
    ------
    PercepNetError
        If there are none, or they are those of another version: which field, and what was expected.
    """
    try:
        values = json.loads(path.read_text())
    except OSError:
        raise PercepNetError(f"{path.parent}: no training to resume; start one without --resume") from None
    except ValueError as error:
        raise PercepNetError(f"{path}: not the settings of a training ({error})") from error
    # runs from before the high-pass was there have none; of other settings the default is what they had
    before = {"highpass_hz": 0.0}
    return convert(renamed(before | values if isinstance(values, dict) else values), Config, path)


def renamed(values: Any) -> Any:
    """Settings under the names that they have now."""
    if not isinstance(values, dict):
        return values
    return {NAMED_BEFORE.get(name, name): value for name, value in values.items()}
