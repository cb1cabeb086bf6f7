import json
import os
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'percepnet[train]'")

from distributed_processes import RECONNECTIONS, STACKS_AFTER_S, STOPPED_AFTER
from percepnet.model import load_model
from percepnet.params import PERCEPNET_FEATURES
from percepnet.training.checkpoint import read_checkpoint
from percepnet.training.config import Config
from percepnet.training.distributed import ProcessGroup, process_group, writes
from percepnet.training.features import shard_name, shards_folder, write_shard
from percepnet.training.run import run_training
from percepnet.training.trainer import Trainer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no torch.distributed"),
]

LIMIT_S = STACKS_AFTER_S + 60
BANDS, FEATURES, FRAMES, BATCH = 34, 70, 40, 2
TINY = {
    "preset": "tiny",
    "features": PERCEPNET_FEATURES,
    "batch": BATCH,
    "chunk_frames": FRAMES,
    "warmup_updates": 1,
    "seed": 3,
}


def equal_weight_shard(seed):
    """All gains are the same, so that each sequence has the same weight in the loss."""
    rng = np.random.default_rng(seed)
    features = rng.uniform(-1, 1, (4, FRAMES, FEATURES))
    strengths = rng.uniform(0, 1, (4, FRAMES, BANDS))
    return np.concatenate([features, np.full_like(strengths, 0.3), strengths], axis=-1).astype(np.float16)


@pytest.fixture
def speech(tmp_path):
    soundfile.write(tmp_path / "speech.wav", 0.1 * np.random.default_rng(0).standard_normal(48000), 48000)
    (tmp_path / "speech.jsonl").write_text('{"path": "speech.wav", "split": "train"}')
    return str(tmp_path / "speech.jsonl")


def torchrun(*arguments):
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc_per_node=2",
        "--standalone",
        *map(str, arguments),
    ]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    agent = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        out, err = agent.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        agent.terminate()  # it then ends its ranks, which would outlive it if it were killed
        out, err = agent.communicate(timeout=60)
        pytest.fail(f"not done after {LIMIT_S} s\n{out}{err}")
    finally:
        agent.kill()
    assert agent.returncode == 0, out + err
    return out


def test_alone_there_is_nothing_to_add_up():
    with process_group() as group:
        assert group == ProcessGroup(0, 1, 0)
        assert group.main
        assert group.sum([0.1, True]) == [0.1, True]
        network = torch.nn.Linear(2, 2)
        assert group.parallel(network) is network
    assert writes()


def test_two_processes_train_one_network(tmp_path, speech, monkeypatch):
    # without any limit: a signal to one of them ends both
    config = Config(out=str(tmp_path / "run"), speech=(speech,), workers=0, **TINY)
    for rank in (0, 1):
        folder = shards_folder(tmp_path / "run", rank)
        folder.mkdir(parents=True)
        write_shard(folder / shard_name(0), equal_weight_shard(rank))
    settings = TINY | {"out": config.out, "speech": config.speech, "workers": 0}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    torchrun(Path(__file__).with_name("distributed_processes.py"), tmp_path)

    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1))
    for found in (first, second):
        assert found["updates"] == len(found["rows"]) == STOPPED_AFTER
        assert found["audio_seen_s"] == pytest.approx(2 * STOPPED_AFTER * BATCH * FRAMES / 100)
        assert found["trained_s"] == first["trained_s"]
        assert found["mean_gradients"] == [0.5] * RECONNECTIONS  # of 0 and 1
    for kind in ("weights", "average"):
        assert all(torch.equal(first[kind][name], second[kind][name]) for name in first[kind])
    assert not torch.equal(first["rows"][0], second["rows"][0])

    # one process with the sequences of both has the same gradients
    class Both:
        def draw(self, rng, batch):
            return torch.cat([first["rows"][0], second["rows"][0]]).numpy()

    monkeypatch.setattr(Trainer, "_autocast", lambda self: nullcontext())
    trainer = Trainer(replace(config, batch=2 * BATCH), {})
    trainer.train(Both())
    for name, parameter in trainer.network.named_parameters():
        scale = parameter.grad.abs().max()
        torch.testing.assert_close(first["gradients"][0][name], parameter.grad, rtol=1e-3, atol=1e-4 * float(scale))
        assert torch.equal(first["gradients"][0][name], second["gradients"][0][name])

    # what was stopped goes on: in one process, which has one folder of features
    checkpoint = read_checkpoint(tmp_path / "run" / "checkpoint.pt")
    assert all(torch.equal(checkpoint["network"][name], first["weights"][name]) for name in first["weights"])
    run_training(Config(out=config.out, resume=True, updates=STOPPED_AFTER + 2, workers=0))
    assert read_checkpoint(tmp_path / "run" / "checkpoint.pt")["updates"] == STOPPED_AFTER + 2


def test_the_command_under_torchrun(tmp_path, speech):
    """From audio to a model; begun by one process, and gone on with by two, each with its own features."""
    size = {"sequence_seconds": 0.4, "shard_sequences": 2}
    run_training(Config(out=str(tmp_path / "run"), speech=(speech,), updates=2, **TINY, **size))
    out = torchrun("-m", "percepnet", "train", "-o", tmp_path / "run", "--resume", "--updates", 6, "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["updates"] for line in lines[:-1]] == [3, 4, 5, 6]
    assert lines[-1] == {"model": str(tmp_path / "run" / "model.safetensors")}
    audio_seen_s = (2 + 2 * 4) * BATCH * 0.4
    assert lines[-2]["hours_seen"] == pytest.approx(audio_seen_s / 3600)
    assert load_model(tmp_path / "run" / "model.safetensors").info["updates"] == "6"
    made = [np.load(shards_folder(tmp_path / "run", rank) / shard_name(0)) for rank in (0, 1)]
    assert not np.array_equal(*made)
