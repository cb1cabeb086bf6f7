"""A network in training: its updates, their losses, and the checkpoint that holds all of it."""

import os
from contextlib import AbstractContextManager
from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from percepnet.atomic import replacing
from percepnet.errors import PercepNetError
from percepnet.model import PRESETS, load_model, save_model
from percepnet.params import BAND_EDGES, ERB_EDGES_34, FRAMES_PER_SECOND, TRAINED_FEATURES, SignalParams
from percepnet.reference.bands import bands_of
from percepnet.reference.features import CENTRE_DB, SPAN_DB
from percepnet.reference.layers import PER_BIN
from percepnet.training.bin_networks import with_new_bins
from percepnet.training.checkpoint import (
    CHECKPOINT_NAME,
    checkpoint_features,
    load_weights,
    network_fields,
    read_checkpoint,
)
from percepnet.training.config import Config
from percepnet.training.device.source import DeviceSource
from percepnet.training.distributed import ProcessGroup
from percepnet.training.features import Shards
from percepnet.training.info import LOSSES, audio_seen_s, model_info
from percepnet.training.late import Late
from percepnet.training.loss import LEAK_GAIN, left_over, speech_loss, total_loss, unshifted
from percepnet.training.network import State, TrainingNetwork, autocast, compiled, detach, forget, from_model, to_model
from percepnet.training.pace import Pace
from percepnet.training.rebanding import rebanded
from percepnet.training.rows import RowLayout
from percepnet.training.signal_loss import Spectra, signal_loss
from percepnet.training.sparsity import Pruning
from percepnet.training.widening import widened

DEFAULT_PRESET = "small"
MODEL_NAME = "model.safetensors"
FIRST_SHARDS = 4  # enough company for a batch to start with
BETAS = (0.8, 0.98)  # RNNoise's trainer
WEIGHT_DECAY = 0.01
CLIP_NORM = 1.0
VALID_BATCH = 16


class Trainer:
    """A network in training: everything that a checkpoint holds.

    Parameters
    ----------
    config : Config
    corpus : dict of str to str
        About the recordings, for the model's card.
    group : ProcessGroup, optional
        The processes that train together; default: this one alone.

    Attributes
    ----------
    network, average : TrainingNetwork
        The network that is trained, and the running average of its weights.
    updates : int
    audio_seen_s, trained_s : float
        Seconds of audio, by all processes, and of time.
    """

    def __init__(self, config: Config, corpus: dict[str, str], group: ProcessGroup | None = None) -> None:
        torch.set_num_threads(config.threads)
        # subnormal numbers, which vanishing gradients are full of, cost a hundred times as much as others
        torch.set_flush_denormal(True)
        torch.manual_seed(config.seed)
        self.config = config
        self.corpus = corpus
        self.group = group or ProcessGroup()
        self.device = self.group.device
        if self.device.type == "cuda":
            torch.set_float32_matmul_precision("high")  # TF32
            if config.reproducible:
                os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS needs for it
                torch.use_deterministic_algorithms(True, warn_only=True)
        resumed = Path(config.out) / CHECKPOINT_NAME
        state = read_checkpoint(resumed) if config.resume else None
        if state is not None and not config.features:  # which a run begins with is not what it always was
            config = replace(config, features=checkpoint_features(state))
        self.network = _initial_network(config).to(self.device)
        _leave_all_but(config.layers, self.network, config.signal.heard)
        self.average = deepcopy(self.network).requires_grad_(False)
        self.optimiser = torch.optim.AdamW(
            [weights for weights in self.network.parameters() if weights.requires_grad],
            lr=config.learning_rate,
            betas=BETAS,
            weight_decay=WEIGHT_DECAY,
            fused=self.device.type == "cuda",
        )
        self.rng = np.random.default_rng([config.seed, 2])
        self.updates = 0
        self.audio_seen_s = 0.0
        self.trained_s = 0.0
        self.validation: dict[str, float] = {}
        self._state: State | None = None  # of sequences that go on
        self._losses = Late()
        if state is not None:
            self._load(resumed, state)
        self._shifts = config.loss.band_shifts
        self.pruning = Pruning(config.sparsity)
        self.pruning.apply(self.network, self.average, self.updates, self.progress)
        self.parallel = self.group.parallel(self.network)
        if config.source.compile:
            self.parallel = compiled(self.parallel)

    @property
    def window(self) -> range | None:
        """Numbers of the shards to draw the next batch from; None for whatever is there."""
        config = self.config
        if not config.reproducible or config.source.device:
            return None
        sequences = config.batch * config.chunk_frames / (FRAMES_PER_SECOND * config.sequence_seconds)
        pace = Pace(
            min(config.batch, sequences) / (config.expected_reuse * config.shard_sequences),
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

    def limit(self, seconds: float) -> None:
        """Train for so many seconds from now on, whatever limits there were."""
        self.config = replace(self.config, hours=(self.trained_s + max(seconds, 1.0)) / 3600, updates=None)

    @property
    def learning_rate(self) -> float:
        """Of the next update."""
        config = self.config
        rate = config.learning_rate / (1 + config.decay * self.updates)
        rate *= min(1.0, (self.updates + 1) / max(1, config.warmup_updates))
        if config.cooldown_share > 0:
            rate *= max(0.05, min(1.0, (1 - self.progress) / config.cooldown_share))
        return rate

    def train(self, supply: Shards | DeviceSource) -> tuple[float, float]:
        """Train on one batch of sequences, an update for each chunk of them.

        Parameters
        ----------
        supply : Shards or DeviceSource
            Whole sequences, or the next segments of some, which the network then remembers the earlier ones of.

        Returns
        -------
        gain_loss, strength_loss : float
            Of this process's sequences; on a GPU, where nobody waits for them, of the batch before.
        """
        config = self.config
        spectra: tuple[Tensor, ...] = ()
        if isinstance(supply, DeviceSource):
            (rows, *spectra_found), begins = supply.segment(self.updates)
            spectra = tuple(spectra_found) if config.signal.present else ()
            state = self._state and forget(self._state, begins)
        else:
            # a checkpoint has the generator of the first process; those of the others follow from the updates
            rank = self.group.rank
            rng = self.rng if self.group.main else np.random.default_rng([config.seed, 2, rank, self.updates])
            rows = torch.as_tensor(supply.draw(rng, config.batch)).to(self.device)
            state = None
        losses = []
        parts = (*self._parts(rows), self._taught(rows), *spectra)
        chunks = [torch.split(part, config.chunk_frames, dim=1) for part in parts]
        for features, gain_target, strength_target, mask, energies, speech, taught, *sounds in zip(
            *chunks, strict=True
        ):
            with self._autocast():
                heads, state = self.parallel(features, state)
            gains, strengths = heads["gains"].float(), heads["strengths"].float()
            compared = unshifted(gains, self._shifts)
            loss, gain, strength = total_loss(
                compared, strengths, gain_target, strength_target, mask, energies, config.loss
            )
            if config.teacher.present:
                # teachers decide for gains; what is best of the strengths counts whole
                learnt, _, _ = total_loss(compared, strengths, taught, strength_target, mask, energies, config.loss)
                loss = loss + config.teacher.share * (learnt - loss)
            if config.loss.pauses:
                loss = loss + config.loss.pauses * left_over(gains, mask * (1 - speech))
            if config.loss.leaks:
                loss = loss + config.loss.leaks * left_over(gains, mask * (gain_target < LEAK_GAIN))
            if "speech" in heads:
                loss = loss + config.loss.speech * speech_loss(heads["speech"].float(), speech)
            if sounds:
                corrector = self.network.shape_changes if self.network.architecture.has_bins else None
                heard = Spectra(*sounds), mask, self.network.params, config.signal
                loss = loss + signal_loss(gains, strengths, *heard, corrector)
            self._update(loss)
            state = detach(state)
            losses.append(torch.stack([gain, strength]).detach())
        self.audio_seen_s += self.group.size * rows.shape[0] * rows.shape[1] / FRAMES_PER_SECOND
        self._state = state if isinstance(supply, DeviceSource) else None
        # asked for once a batch: a GPU would otherwise wait for the next orders after every update
        gain_mean, strength_mean = self._losses.next(torch.stack(losses).mean(dim=0))
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
            gains, strengths = unshifted(heads["gains"], self._shifts), heads["strengths"]
            losses = total_loss(gains, strengths, gain_target, strength_target, mask, energies, self.config.loss)
            totals += len(rows) * np.array([loss.item() for loss in losses])
        self.validation = dict(zip(LOSSES, (totals / len(held_out)).tolist(), strict=True))
        return self.validation

    def save(self) -> None:
        """Write the checkpoint and the model of this moment, in the first process."""
        if not self.group.main:
            return
        run = Path(self.config.out)
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rng": self.rng.bit_generator.state,
            "updates": self.updates,
            "audio_seen_s": self.audio_seen_s,
            "trained_s": self.trained_s,
            "validation": self.validation,
            "corpus": self.corpus,
            "settings": asdict(self.config),
        } | network_fields(self.network)
        with replacing(run / CHECKPOINT_NAME) as temporary:
            torch.save(state, temporary)
        save_model(to_model(self.average, model_info(state)), run / MODEL_NAME)

    def _load(self, path: Path, state: dict[str, Any]) -> None:
        load_weights(path, self.network, state, "network")
        load_weights(path, self.average, state, "average")
        self.optimiser.load_state_dict(state["optimiser"])
        self.rng.bit_generator.state = state["rng"]
        self.updates = state["updates"]
        self.audio_seen_s = audio_seen_s(state)
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

    def _taught(self, rows: Tensor) -> Tensor:
        """Gains that teachers decide for; no columns where there are no teachers."""
        columns = RowLayout(self.network.params).taught if self.config.teacher.present else slice(0)
        return rows[..., columns]

    def _autocast(self) -> AbstractContextManager[object]:
        return autocast(self.network, self.device)

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
            torch._foreach_lerp_(list(self.average.parameters()), list(self.network.parameters()), 1 - keep)
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


def _leave_all_but(layers: tuple[str, ...], network: TrainingNetwork, is_heard: bool) -> None:
    """Let nothing be trained but some layers, if any are named; and those for bins only by what is heard."""
    names = [layer.name for layer in network.architecture.layers]
    if unknown := set(layers) - set(names):
        raise PercepNetError(f"layers: the network has no {min(unknown)!r}; it has: {', '.join(names)}")
    sources = network.architecture.sources
    for name, weights in network.named_parameters():
        layer = name.partition(".")[0]
        weights.requires_grad_((not layers or layer in layers) and (is_heard or sources[layer] != PER_BIN))


def _initial_network(config: Config) -> TrainingNetwork:
    if config.init is None:
        edges = BAND_EDGES[config.bands] if config.bands else ERB_EDGES_34
        blocks = config.features or TRAINED_FEATURES
        params = SignalParams(config.lookahead_frames, edges, config.highpass_hz, blocks)
        return TrainingNetwork(params, PRESETS[config.preset or DEFAULT_PRESET])
    model = load_model(config.init)
    if config.shapes_bins and not model.architecture.has_bins:
        model = with_new_bins(model, config.seed)
    if config.bands and BAND_EDGES[config.bands] != model.params.band_edges:
        model = rebanded(model, BAND_EDGES[config.bands])
    wanted = model.architecture
    if config.preset is not None:
        preset = PRESETS[config.preset].remembering(model.architecture.memories)
        wanted = preset.with_bins_of(model.architecture)
    blocks = config.features or model.params.feature_blocks
    if wanted != model.architecture or blocks != model.params.feature_blocks:
        model = widened(model, wanted, config.seed, blocks)
    return from_model(model)
