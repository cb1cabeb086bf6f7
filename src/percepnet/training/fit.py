"""The training itself: a network, its optimiser, and a folder in which a run can be stopped and continued at any time.

A run's folder holds `settings.json` (what it was started with), `checkpoint.pt` (where it is), `model.safetensors` (the
averaged weights of that moment, ready to use), `training.log`, `validation.jsonl` and its picture `curves.png`, sounds
to listen to in `listening/`, the features in `shards/` and the decoded audio in `audio/`. Under `torchrun` several
processes train together (`percepnet.training.distributed`).
"""

import json
import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from percepnet.acoustics.mixing import MixingConfig
from percepnet.errors import PercepNetError
from percepnet.model import PRESETS, load_model, save_model
from percepnet.params import (
    BAND_EDGES,
    ERB_EDGES_34,
    FRAMES_PER_SECOND,
    HIGHPASS_HZ,
    PERCEPNET_FEATURES,
    SignalParams,
)
from percepnet.reference.bands import bands_of
from percepnet.reference.features import CENTRE_DB, SPAN_DB
from percepnet.training.adversarial import AdversarialConfig, Adversary
from percepnet.training.checkpoint import CHECKPOINT_NAME, load_weights, network_fields, read_checkpoint
from percepnet.training.corpus import Clip, find_clips, summary
from percepnet.training.curves import VALIDATION_NAME, save_curves
from percepnet.training.distributed import Ranks, ranks
from percepnet.training.features import (
    RING_SHARDS,
    SEQUENCE_SECONDS,
    SHARD_SEQUENCES,
    VALID_NAME,
    Producers,
    Recordings,
    Shards,
    shards_folder,
)
from percepnet.training.gpu_shards import GpuShards, fits
from percepnet.training.growth import grown
from percepnet.training.listening import SCORES, Listening
from percepnet.training.loss import LossWeights, speech_loss, total_loss
from percepnet.training.network import State, TrainingNetwork, detach, from_model, to_model
from percepnet.training.pace import Pace
from percepnet.training.rebanding import rebanded
from percepnet.training.rows import RowLayout
from percepnet.training.sparsity import Pruning, SparsityConfig
from percepnet.training.tensorboard import Board

DEFAULT_PRESET = "small"
SETTINGS_NAME = "settings.json"
MODEL_NAME = "model.safetensors"
LOG_NAME = "training.log"
FIRST_SHARDS = 4  # enough company for a batch to start with
WAIT_S = 0.1
EARLY_UPDATES = 20  # reported one by one, to show that it has begun
BETAS = (0.8, 0.98)  # RNNoise's trainer
WEIGHT_DECAY = 0.01
CLIP_NORM = 1.0
VALID_BATCH = 16
LOSSES = ("loss", "gain", "strength")


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
    bands : int or None
        34, the article's, or 48; None for 34, or for those of `init`. From one to the other `init` is interpolated.
    lookahead_frames : int
    highpass_hz : float
        Corner of the high-pass in front of everything, 0 for none; of a network that does not start from `init`.
    features : tuple of str
        Blocks that the network is given (`percepnet.params.FEATURE_SIZES`), if not those of PercepNet; the same.
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
    hearings : float
        How often each sequence is drawn in a reproducible run, on average.
    tensorboard : bool
        Also write the events that TensorBoard shows.
    loss : LossWeights
    adversarial : AdversarialConfig
    mixing : MixingConfig
    sparsity : SparsityConfig
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
    hearings: float = 2.0
    tensorboard: bool = False
    loss: LossWeights = field(default_factory=LossWeights)
    adversarial: AdversarialConfig = field(default_factory=AdversarialConfig)
    mixing: MixingConfig = field(default_factory=MixingConfig)
    sparsity: SparsityConfig = field(default_factory=SparsityConfig)


# The settings that are tables of their own, in a recipe and in a run's folder.
TABLES = {"loss": LossWeights, "adversarial": AdversarialConfig, "mixing": MixingConfig, "sparsity": SparsityConfig}
# What a resumed run may be given anew; everything else is as it was started.
CHANGEABLE = ("out", "resume", "hours", "updates", "checkpoint_minutes", "validate_minutes", "workers", "threads")


@dataclass(frozen=True)
class Progress:
    """One line of a run's log. Losses are averages since the line before.

    Parameters
    ----------
    updates : int
    minutes : float
        Of training, over all sittings.
    hours_heard : float
        Of audio.
    gain_loss, strength_loss : float
    speed : float
        Seconds of audio a second.
    validation : dict of str to float, optional
        Losses on held-out mixtures, and scores of a few (`percepnet.training.listening`), where there was time for it.
    judged : dict of str to float, optional
        Last verdicts of the adversary, on `clean` speech (1 if it is not deceived) and on `enhanced` (0).
    """

    updates: int
    minutes: float
    hours_heard: float
    gain_loss: float
    strength_loss: float
    speed: float
    validation: dict[str, float] | None = None
    judged: dict[str, float] | None = None

    def line(self) -> str:
        """As text."""
        text = (
            f"{self.minutes:7.1f} min  update {self.updates:6d}  heard {self.hours_heard:7.2f} h  "
            f"gain {self.gain_loss:.4f}  strength {self.strength_loss:.4f}  {self.speed:5.1f} s/s"
        )
        if self.judged:
            text += f"  judged {self.judged['clean']:.2f} clean, {self.judged['enhanced']:.2f} enhanced"
        if self.validation:
            text += f"  | held out: gain {self.validation['gain']:.4f}  strength {self.validation['strength']:.4f}"
            for name in SCORES.values():
                if {name, f"noisy_{name}"} <= self.validation.keys():
                    change = self.validation[name] - self.validation[f"noisy_{name}"]
                    text += f"  {name} {self.validation[name]:.3f} ({change:+.3f})"
        return text


def run_training(config: Config, report: Callable[[Progress], None] | None = None) -> Path:
    """Train until a limit is reached or somebody interrupts (Ctrl-C or SIGTERM), and leave a run that can be resumed.

    Every process that torchrun starts calls this with the same settings.

    Parameters
    ----------
    config : Config
    report : callable, optional
        Gets a Progress about once a minute and at every validation; in the first process only.

    Returns
    -------
    Path
        The model that was written.

    Raises
    ------
    PercepNetError
        If no speech is found or a recording is unreadable, if the folder holds another run, or if there is nothing to
        resume.
    """
    config = _settled(config)
    with ranks() as group:
        return _run(config, group, report or (lambda progress: None))


def _run(config: Config, group: Ranks, report: Callable[[Progress], None]) -> Path:
    run = Path(config.out)
    kinds = {"speech": "speech", "noise": "noise", "rooms": "room"}
    clips = {name: find_clips(getattr(config, name), config.exclude, kind) for name, kind in kinds.items()}
    _refuse_empty(config, clips["speech"])
    recordings = Recordings(
        clips["speech"], clips["noise"], clips["rooms"], run / "audio", config.speech_weights, config.mixing
    )
    unused = set(config.speech_weights) - {clip.source for clip in clips["speech"]}
    if unused:
        known = ", ".join(sorted({clip.source for clip in clips["speech"]}))
        raise PercepNetError(f"no source of speech {min(unused)!r} to weight; there are: {known}")
    trainer = Trainer(config, corpus_info(clips) | init_info(config.init), group)
    if group.sum([trainer.updates])[0] != group.size * trainer.updates:
        raise PercepNetError(f"{run}: not the same folder for all processes; put it on a disk that all machines share")
    board = Board(run, trainer.updates) if config.tensorboard and group.main else None
    run.mkdir(parents=True, exist_ok=True)
    if group.main:
        _write_text(run / SETTINGS_NAME, json.dumps(asdict(config), indent=1))
    if config.reproducible and not config.resume and config.workers:
        Shards(shards_folder(run, group.rank)).drop(math.inf)  # of a start that came to nothing
    producers = Producers(
        recordings,
        trainer.network.params,
        run,
        seed=config.seed,
        workers=config.workers,
        ring=config.ring,
        sequences=config.shard_sequences,
        seconds=config.sequence_seconds,
        rank=group.rank,
        window=trainer.window,
    )
    with _interruptible() as interrupted:
        producers.start()
        try:
            listening = Listening(recordings, trainer.network.params, run, config.seed) if group.main else None
            _fit(trainer, producers, listening, board, report, interrupted)
        finally:
            producers.stop()
            if board is not None:
                board.close()
    return run / MODEL_NAME


class Trainer:
    """A network in training: everything that a checkpoint holds.

    Parameters
    ----------
    config : Config
    corpus : dict of str to str
        About the recordings, for the model's card.
    group : Ranks, optional
        The processes that train together; default: this one alone.

    Attributes
    ----------
    network, average : TrainingNetwork
        The network that is trained, and the running average of its weights.
    updates : int
    heard_s, trained_s : float
        Seconds of audio, by all processes, and of time.
    """

    def __init__(self, config: Config, corpus: dict[str, str], group: Ranks | None = None) -> None:
        torch.set_num_threads(config.threads)
        # subnormal numbers, which vanishing gradients are full of, cost a hundred times as much as others
        torch.set_flush_denormal(True)
        torch.manual_seed(config.seed)
        self.config = config
        self.corpus = corpus
        self.ranks = group or Ranks()
        self.device = self.ranks.device
        if self.device.type == "cuda":
            torch.set_float32_matmul_precision("high")  # TF32
            if config.reproducible:
                os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS needs for it
                torch.use_deterministic_algorithms(True, warn_only=True)
        self.network = _initial_network(config).to(self.device)
        self.average = deepcopy(self.network).requires_grad_(False)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, betas=BETAS, weight_decay=WEIGHT_DECAY
        )
        self.adversary = Adversary(config.adversarial, self.ranks) if config.adversarial.share else None
        self.rng = np.random.default_rng([config.seed, 2])
        self.updates = 0
        self.heard_s = 0.0
        self.trained_s = 0.0
        self.validation: dict[str, float] = {}
        if config.resume:
            self._load(Path(config.out) / CHECKPOINT_NAME)
        self.pruning = Pruning(config.sparsity)
        self.pruning.apply(self.network, self.average, self.updates, self.progress)
        self.parallel = self.ranks.parallel(self.network)

    @property
    def window(self) -> range | None:
        """Numbers of the shards to draw the next batch from; None for whatever is there."""
        config = self.config
        if not config.reproducible:
            return None
        sequences = config.batch * config.chunk_frames / (FRAMES_PER_SECOND * config.sequence_seconds)
        pace = Pace(
            min(config.batch, sequences) / (config.hearings * config.shard_sequences),
            min(FIRST_SHARDS, config.ring),
            config.ring,
        )
        return pace.window(self.updates)

    @property
    def progress(self) -> float:
        """How much of the limit is used; 0 without a limit."""
        shares = [0.0]
        if self.config.hours:
            shares.append(self.trained_s / (3600 * self.config.hours))
        if self.config.updates:
            shares.append(self.updates / self.config.updates)
        return max(shares)

    @property
    def learning_rate(self) -> float:
        """Of the next update."""
        config = self.config
        rate = config.learning_rate / (1 + config.decay * self.updates)
        rate *= min(1.0, (self.updates + 1) / max(1, config.warmup_updates))
        if config.cooldown_share > 0:
            rate *= max(0.05, min(1.0, (1 - self.progress) / config.cooldown_share))
        return rate

    def train(self, shards: Shards) -> tuple[float, float]:
        """Train on one batch of sequences, an update for each chunk of them.

        Parameters
        ----------
        shards : Shards

        Returns
        -------
        gain_loss, strength_loss : float
            Of this process's sequences.
        """
        # a checkpoint has the generator of the first process; those of the others follow from the number of updates
        config, rank = self.config, self.ranks.rank
        rng = self.rng if self.ranks.main else np.random.default_rng([config.seed, 2, rank, self.updates])
        rows = torch.as_tensor(shards.draw(rng, config.batch)).to(self.device)
        state: State | None = None
        losses = []
        chunks = (torch.split(part, self.config.chunk_frames, dim=1) for part in self._parts(rows))
        for features, gain_target, strength_target, mask, energies, speech in zip(*chunks, strict=True):
            with self._autocast():
                heads, state = self.parallel(features, state)
            gains, strengths = heads["gains"], heads["strengths"]
            loss, gain, strength = total_loss(
                gains.float(), strengths.float(), gain_target, strength_target, mask, energies, self.config.loss
            )
            if "speech" in heads:
                loss = loss + self.config.loss.speech * speech_loss(heads["speech"].float(), speech)
            if self.adversary is not None:
                loss = loss + self.adversary.judge(loss, gains, gain_target, mask, energies)
            self._update(loss)
            state = detach(state)
            losses.append(torch.stack([gain, strength]).detach())
        self.heard_s += self.ranks.size * rows.shape[0] * rows.shape[1] / FRAMES_PER_SECOND
        # asked for once a batch: a GPU would otherwise wait for the next orders after every update
        gain_mean, strength_mean = torch.stack(losses).mean(dim=0).tolist()
        return gain_mean, strength_mean

    @torch.no_grad()
    def validate(self, held_out: npt.NDArray[np.float16]) -> dict[str, float]:
        """Losses of the averaged network on held-out sequences.

        Parameters
        ----------
        held_out : np.ndarray [shape=(sequences, frames, columns of RowLayout)]
        """
        totals = np.zeros(3)
        for start in range(0, len(held_out), VALID_BATCH):
            rows = torch.from_numpy(held_out[start : start + VALID_BATCH].astype(np.float32)).to(self.device)
            features, gain_target, strength_target, mask, energies, _ = self._parts(rows)
            heads, _ = self.average(features)
            gains, strengths = heads["gains"], heads["strengths"]
            losses = total_loss(gains, strengths, gain_target, strength_target, mask, energies, self.config.loss)
            totals += len(rows) * np.array([loss.item() for loss in losses])
        self.validation = dict(zip(LOSSES, (totals / len(held_out)).tolist(), strict=True))
        return self.validation

    def save(self) -> None:
        """Write the checkpoint and the model of this moment, in the first process."""
        if not self.ranks.main:
            return
        run = Path(self.config.out)
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "adversary": self.adversary.state_dict() if self.adversary else None,
            "rng": self.rng.bit_generator.state,
            "updates": self.updates,
            "heard_s": self.heard_s,
            "trained_s": self.trained_s,
            "validation": self.validation,
            "corpus": self.corpus,
            "settings": asdict(self.config),
        } | network_fields(self.network)
        beside = run / f".{CHECKPOINT_NAME}.{os.getpid()}"
        torch.save(state, beside)
        beside.replace(run / CHECKPOINT_NAME)
        save_model(to_model(self.average, model_info(state)), run / MODEL_NAME)

    def _load(self, path: Path) -> None:
        state = read_checkpoint(path)
        load_weights(path, self.network, state, "network")
        load_weights(path, self.average, state, "average")
        self.optimiser.load_state_dict(state["optimiser"])
        if self.adversary is not None:
            self.adversary.load_state_dict(state["adversary"])
        self.rng.bit_generator.state = state["rng"]
        self.updates = state["updates"]
        self.heard_s = state["heard_s"]
        self.trained_s = state["trained_s"]
        self.validation = state["validation"]

    def _parts(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Features, gains, strengths, where these are known, energies of the bands that they are for, and speech."""
        params, layout = self.network.params, RowLayout(self.network.params)
        gains = rows[..., layout.gains]
        mask = (gains >= 0).to(rows.dtype)
        energies = band_energies(rows[..., layout.levels], params)
        # energies are those of the newest frame
        late = params.lookahead_frames
        energies = torch.cat([energies[:, :1].expand(-1, late, -1), energies[:, : rows.shape[1] - late]], dim=1)
        features, strengths, speech = rows[..., layout.features], rows[..., layout.strengths], rows[..., layout.speech]
        return features, gains.clamp(min=0), strengths, mask, energies, speech

    def _autocast(self) -> torch.autocast:
        # Where it is not in the hardware, bfloat16 is emulated and slower than float32. On a GPU autocast runs GRUs in
        # float16 whatever it is asked for, in which the small gradients vanish; TF32 is as fast there.
        can = torch.cpu.get_capabilities()
        fast = self.device.type == "cpu" and bool(can.get("amx_bf16") or can.get("avx512_bf16"))
        return torch.autocast(self.device.type, torch.bfloat16, enabled=fast)

    def _update(self, loss: Tensor) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP_NORM)
        self.optimiser.step()
        self.network.clamp_weights()
        self.updates += 1
        # a young average would otherwise be mostly the random start
        keep = min(self.config.average, self.updates / (self.updates + 9))
        with torch.no_grad():
            for slow, fast in zip(self.average.parameters(), self.network.parameters(), strict=True):
                slow.lerp_(fast, 1 - keep)
        self.pruning.apply(self.network, self.average, self.updates, self.progress)


def band_energies(levels: Tensor, params: SignalParams) -> Tensor:
    """Band energies from the features `band_levels`.

    Parameters
    ----------
    levels : Tensor [shape=(..., bands)]
    params : SignalParams

    Returns
    -------
    Tensor [shape=(..., bands)]
    """
    widths = torch.from_numpy(bands_of(params.band_edges).widths).to(levels)
    level_db = float(SPAN_DB) * levels + float(CENTRE_DB)
    return widths * 10 ** (level_db / 10)


def corpus_info(clips: dict[str, list[Clip]]) -> dict[str, str]:
    """What a model was trained on, by kind and source: hours and licences."""
    return {
        f"{kind}/{source}": text
        for kind, found in clips.items()
        for source, text in summary([clip for clip in found if clip.split == "train"]).items()
    }


def init_info(init: str | None) -> dict[str, str]:
    """What is known of the model that a run starts from, for the card of what becomes of it."""
    if init is None:
        return {}
    before = load_model(init).info
    heard = float(before.get("hours_heard", 0)) + float(before.get("init_hours_heard", 0))
    return {"init": Path(init).stem, "init_hours_heard": f"{heard:.1f}"}


def model_info(checkpoint: dict[str, Any]) -> dict[str, str]:
    """The card of a model: how and on what it was trained, without the paths of the machine it was trained on."""
    settings = checkpoint["settings"]
    info = {
        "hours_heard": f"{checkpoint['heard_s'] / 3600:.1f}",
        "updates": str(checkpoint["updates"]),
        "hours_trained": f"{checkpoint['trained_s'] / 3600:.2f}",
        "seed": str(settings["seed"]),
        "loss": json.dumps(settings["loss"]),
        "speech_weights": json.dumps(settings["speech_weights"]),
        "excluded": json.dumps(settings["exclude"]),
    }
    if (adversarial := settings.get("adversarial", {})).get("share"):
        info["adversarial"] = json.dumps(adversarial)
    losses = {name: checkpoint["validation"][name] for name in LOSSES if name in checkpoint["validation"]}
    info.update({f"held_out_{name}_loss": f"{value:.5f}" for name, value in losses.items()})
    return info | checkpoint["corpus"]


def _settled(config: Config) -> Config:
    run = Path(config.out)
    if config.resume:
        saved = _read_settings(run / SETTINGS_NAME)
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
    if config.hearings <= 0:
        raise PercepNetError(f"hearings is {config.hearings}; it must be above 0")
    absolute = {
        kind: tuple(str(Path(place).resolve()) for place in getattr(config, kind))
        for kind in ("speech", "noise", "rooms")
    }
    return _timeless(replace(config, **absolute))  # type: ignore[arg-type]


def _timeless(config: Config) -> Config:
    if config.reproducible and config.hours:
        raise PercepNetError("how far a training gets in an hour is not reproducible: give --updates, not --hours")
    return config


def _read_settings(path: Path) -> Config:
    try:
        values = json.loads(path.read_text())
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        # runs from before these settings were there have none
        values = {"sparsity": {}, "adversarial": {}, "highpass_hz": 0.0} | values
        return Config(**values | {name: kind(**values[name]) for name, kind in TABLES.items()})
    except OSError:
        raise PercepNetError(f"{path.parent}: no training to resume; start one without --resume") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PercepNetError(f"{path}: not the settings of a training, or of another version ({error})") from error


def _refuse_empty(config: Config, speech: list[Clip]) -> None:
    if not any(clip.split == "train" for clip in speech):
        raise PercepNetError(f"{', '.join(config.speech)}: no speech of the split 'train'")


def _initial_network(config: Config) -> TrainingNetwork:
    if config.init is None:
        edges = BAND_EDGES[config.bands] if config.bands else ERB_EDGES_34
        blocks = config.features or PERCEPNET_FEATURES
        params = SignalParams(config.lookahead_frames, edges, config.highpass_hz, blocks)
        return TrainingNetwork(params, PRESETS[config.preset or DEFAULT_PRESET])
    model = load_model(config.init)
    if config.bands and BAND_EDGES[config.bands] != model.params.band_edges:
        model = rebanded(model, BAND_EDGES[config.bands])
    if config.preset is not None and PRESETS[config.preset] != model.architecture:
        model = grown(model, PRESETS[config.preset], config.seed)
    return from_model(model)


def _fit(
    trainer: Trainer,
    producers: Producers,
    listening: Listening | None,
    board: Board | None,
    report: Callable[[Progress], None],
    interrupted: Callable[[], bool],
) -> None:
    config, run, group = trainer.config, Path(trainer.config.out), trainer.ranks
    shards = _shards(trainer, shards_folder(run, group.rank))
    last = {"report": time.monotonic(), "checkpoint": time.monotonic(), "validation": time.monotonic()}
    heard_s = trainer.heard_s
    losses: list[tuple[float, float]] = []

    def due(what: str, minutes: float) -> bool:
        return time.monotonic() - last[what] >= 60 * minutes

    while trainer.progress < 1 and _supplied(trainer, shards, producers, interrupted):
        started = time.monotonic()
        gain, strength = trainer.train(shards)
        # the first process's time, since others may have waited for it to validate
        took_s = time.monotonic() - started if group.main else 0.0
        took_s, gain, strength, wishes = group.sum(
            [took_s, gain / group.size, strength / group.size, float(interrupted())]
        )
        trainer.trained_s += took_s
        losses.append((gain, strength))
        if not all(map(math.isfinite, losses[-1])):
            raise PercepNetError(
                f"the loss is no longer finite at update {trainer.updates}; the last checkpoint is good"
            )
        finished = trainer.progress >= 1 or wishes > 0
        if finished:
            trainer.save()  # at once, whatever happens to the validation
        validation = None
        validates = due("validation", config.validate_minutes) or finished
        if listening is not None and validates and (run / VALID_NAME).exists():
            validation = trainer.validate(np.load(run / VALID_NAME))
            validation |= listening.hear(to_model(trainer.average))
            if board is not None:
                board.listening(listening.folder, trainer.updates)
            last["validation"] = time.monotonic()
        if due("report", 1) or validation or finished or trainer.updates <= EARLY_UPDATES:
            gain_mean, strength_mean = np.mean(losses, axis=0)
            speed = (trainer.heard_s - heard_s) / (time.monotonic() - last["report"])
            progress = Progress(
                trainer.updates,
                trainer.trained_s / 60,
                trainer.heard_s / 3600,
                float(gain_mean),
                float(strength_mean),
                speed,
                validation,
                trainer.adversary.verdicts if trainer.adversary else None,
            )
            if group.main:
                _log(run, progress)
                report(progress)
            if board is not None:
                _show(board, progress, trainer.learning_rate)
            last["report"], heard_s, losses = time.monotonic(), trainer.heard_s, []
        if due("checkpoint", config.checkpoint_minutes):
            trainer.save()
            if trainer.window is not None:
                shards.drop(trainer.window.start)  # until now a resumed run would have needed them again
            last["checkpoint"] = time.monotonic()
    if trainer.updates:
        trainer.save()


def _shards(trainer: Trainer, folder: Path) -> Shards:
    """The run's, in the memory of the GPU where there is one with room for them."""
    config, params = trainer.config, trainer.network.params
    frames = config.ring * config.shard_sequences * config.sequence_seconds * FRAMES_PER_SECOND
    size_bytes = frames * RowLayout(params).count * np.dtype(np.float16).itemsize
    return GpuShards(folder, trainer.device) if fits(trainer.device, size_bytes) else Shards(folder)


def _supplied(trainer: Trainer, shards: Shards, producers: Producers, interrupted: Callable[[], bool]) -> bool:
    """Wait until every process has features to draw from; False where somebody wishes to stop."""
    config, window = trainer.config, trainer.window
    if window is not None:
        producers.want(window)
    while True:
        if window is not None:
            enough = shards.hold(window)
        else:
            shards.refresh()
            enough = len(shards) >= (min(FIRST_SHARDS, config.ring) if config.workers else 1)
        failure = None
        try:
            producers.check()
            if not enough and config.workers == 0:
                folder = shards_folder(Path(config.out), trainer.ranks.rank)
                raise PercepNetError(f"{folder}: no features to train on; use at least one worker")
        except PercepNetError as error:
            failure = error
        # asked last: what ends the training may have ended the makers of features before
        failed, missing, wishes = trainer.ranks.sum([failure is not None, not enough, interrupted()])
        if wishes:
            return False
        if failed:
            if trainer.updates:
                trainer.save()  # a recording that cannot be read costs none of what was learned
            raise failure or PercepNetError("another process of this training failed, and says why")
        if not missing:
            return True
        time.sleep(WAIT_S)


def _log(run: Path, progress: Progress) -> None:
    with (run / LOG_NAME).open("a") as file:
        print(progress.line(), file=file)
    if progress.validation:
        with (run / VALIDATION_NAME).open("a") as file:
            row = asdict(progress)
            del row["validation"], row["judged"]
            print(json.dumps(row | progress.validation), file=file)
        save_curves(run)


def _show(board: Board, progress: Progress, learning_rate: float) -> None:
    losses = {"gain": progress.gain_loss, "strength": progress.strength_loss}
    board.scalars("loss", losses, progress.updates)
    state = {"learning_rate": learning_rate, "seconds_per_second": progress.speed, "hours_heard": progress.hours_heard}
    board.scalars("training", state, progress.updates)
    board.scalars("judged", progress.judged or {}, progress.updates)
    for name, value in (progress.validation or {}).items():
        board.scalars("held out" if name in LOSSES else "scores", {name: value}, progress.updates)


def _write_text(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text)
    beside.replace(path)


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C and SIGTERM into a wish that the training grants after the batch it is at."""
    wishes: list[int] = []

    def wish(number: int, frame: FrameType | None) -> None:
        if wishes:
            raise KeyboardInterrupt  # the second time somebody means it
        wishes.append(number)

    before = {number: signal.signal(number, wish) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(wishes)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
