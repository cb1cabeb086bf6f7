from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'percepnet[train]'")
pytest.importorskip("scipy", reason="training needs scipy: pip install 'percepnet[train]'")
import soundfile

from percepnet.errors import ModelError, PercepNetError
from percepnet.model import PRESETS, load_model, save_model
from percepnet.params import PERCEPNET_FEATURES, TRAINED_FEATURES, SignalParams
from percepnet.reference.network import Network
from percepnet.training.config import Config, settled
from percepnet.training.features import Shards, make_shard, write_shard
from percepnet.training.network import TrainingNetwork, to_model
from percepnet.training.rows import RowLayout
from percepnet.training.run import run_training
from percepnet.training.teacher import Teachers
from percepnet.training.teaching import TeacherConfig
from percepnet.training.trainer import Trainer

PARAMS = SignalParams(highpass_hz=30.0)
LEARNER = replace(PARAMS, feature_blocks=("relative_band_levels", "coherences", "pitch"))
ROUNDING = 0.02  # of bfloat16, where networks run in it


def saved(folder, params=PARAMS, seed=0, name="teacher"):
    torch.manual_seed(seed)
    path = folder / f"{name}.safetensors"
    save_model(to_model(TrainingNetwork(params, PRESETS["tiny"])), path)
    return str(path)


def shard(params, sequences=2, frames=30, seed=0):
    rows = np.random.default_rng(seed).uniform(0, 1, (sequences, frames, RowLayout(params).count))
    return rows.astype(np.float16)


def test_teachers_decide_as_their_models_do(tmp_path):
    first, second = saved(tmp_path), saved(tmp_path, LEARNER, 1, "other")
    rows = shard(LEARNER)
    config = TeacherConfig((first, second), (0.5, 1.0))
    found = Teachers(config, LEARNER).taught(rows)
    layout = RowLayout(LEARNER)
    np.testing.assert_array_equal(found[..., : layout.count], rows)
    own = rows.astype(np.float32)
    levels = np.concatenate([own[..., layout.levels], own[..., 34:70]], axis=-1)
    for k in range(len(rows)):
        one, _ = Network(load_model(first)).run(levels[k])
        other, _ = Network(load_model(second)).run(own[k, :, layout.features])
        np.testing.assert_allclose(found[k, :, layout.taught], (one**0.5 + other) / 2, atol=ROUNDING)


def test_a_teacher_of_lifted_levels_is_given_those_that_there_are(tmp_path):
    lifted = replace(PARAMS, feature_blocks=TRAINED_FEATURES)
    rows = shard(PARAMS)
    gains = [
        Teachers(TeacherConfig((saved(tmp_path, params),)), PARAMS).taught(rows)[..., RowLayout(PARAMS).taught]
        for params in (PARAMS, lifted)
    ]
    np.testing.assert_array_equal(*gains)
    rows, layout = shard(lifted), RowLayout(lifted)
    found = Teachers(TeacherConfig((saved(tmp_path, lifted),)), lifted).taught(rows)
    own = rows.astype(np.float32)[..., layout.features]
    expected, _ = Network(load_model(saved(tmp_path, lifted))).run(own[0])
    np.testing.assert_allclose(found[0, :, layout.taught], expected, atol=ROUNDING)


def test_teachers_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(ModelError, match="lookahead_frames differ"):
        Teachers(TeacherConfig((saved(tmp_path, replace(PARAMS, lookahead_frames=1)),)), PARAMS)
    with pytest.raises(ModelError, match="given relative_band_levels, which the network that learns is not"):
        Teachers(TeacherConfig((saved(tmp_path, LEARNER),)), PARAMS)
    with pytest.raises(ModelError, match="exponents: 2, for 1 models"):
        Teachers(TeacherConfig((saved(tmp_path),), (1.0, 0.9)), PARAMS)
    with pytest.raises(ModelError, match="share: 2; it must be from 0 to 1"):
        Teachers(TeacherConfig((saved(tmp_path),), share=2.0), PARAMS)
    config = Config("run", ("x",), teacher=TeacherConfig(("small",)))
    with pytest.raises(PercepNetError, match=r"leave \[source\] device away"):
        settled(replace(config, source=replace(config.source, device=True)))


class Still:
    """Gives the same sound for every seed."""

    def mixture(self, seed, seconds):
        from percepnet.acoustics.mixing import Mixture

        rng = np.random.default_rng(0)
        clean = (0.1 * rng.standard_normal(4800)).astype(np.float32)
        return Mixture(clean, clean + (0.1 * rng.standard_normal(4800)).astype(np.float32), 24000.0)


def test_shards_hold_what_teachers_decide(tmp_path):
    teacher = TeacherConfig((saved(tmp_path),))
    plain = make_shard(Still(), LEARNER, [0], 2, 0.1)
    found = make_shard(Still(), LEARNER, [0], 2, 0.1, teacher)
    np.testing.assert_array_equal(found, Teachers(teacher, LEARNER).taught(plain))
    np.testing.assert_array_equal(make_shard(Still(), LEARNER, [0], 2, 0.1, TeacherConfig()), plain)


def trainer_on(tmp_path, share, taught):
    """A trainer, and shards of which all best gains are 0.9 and what teachers decide is as given."""
    quick = {"preset": "tiny", "batch": 2, "chunk_frames": 30, "learning_rate": 1e-2, "warmup_updates": 1}
    quick["features"] = PERCEPNET_FEATURES
    config = Config(str(tmp_path), teacher=TeacherConfig(("small",), share=share), **quick)
    layout = RowLayout(SignalParams(config.lookahead_frames))
    rows = shard(layout.params)
    rows[..., layout.gains] = 0.9
    write_shard(tmp_path / "shard-00000000.npy", np.concatenate([rows, np.full((2, 30, 34), taught, np.float16)], -1))
    return Trainer(config, {}), Shards(tmp_path)


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_a_network_learns_what_teachers_decide(tmp_path, share):
    trainer, shards = trainer_on(tmp_path, share, 0.2)
    for _ in range(80):
        trainer.train(shards)
    with torch.no_grad():
        features = torch.from_numpy(np.asarray(shards.draw(np.random.default_rng(0), 2)))[..., :70]
        gains = trainer.network(features)[0]["gains"].mean().item()
    assert gains == pytest.approx(0.2, abs=0.05) if share == 1 else 0.35 < gains < 0.75


def test_a_run_with_a_teacher(tmp_path):
    rng = np.random.default_rng(0)
    speech = tmp_path / "speech.wav"
    soundfile.write(speech, 0.1 * rng.standard_normal(48000), 48000)
    config = Config(
        out=str(tmp_path / "run"),
        speech=(str(speech),),
        preset="tiny",
        batch=2,
        chunk_frames=20,
        updates=2,
        shard_sequences=2,
        sequence_seconds=0.4,
        teacher=TeacherConfig((saved(tmp_path),)),
    )
    model = load_model(run_training(config, validate=False))
    assert '"models": ["teacher.safetensors"]' in model.info["teacher"]
