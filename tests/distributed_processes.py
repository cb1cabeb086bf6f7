"""What torchrun runs in test_distributed.py: `run_training`, watched from inside, in each of several processes.

Arguments: a folder, which has `config.json`; each rank leaves `rank0.pt` and so on there.
"""

import faulthandler
import json
import os
import signal
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import torch

from percepnet.training import run
from percepnet.training.config import Config

STOPPED_AFTER = 3  # batches, by a signal that only the second rank gets
STACKS_AFTER_S = 240  # of what should take seconds
RECONNECTIONS = 5  # each of which may go well by chance
LATE_S = 0.2


class WatchedTrainer(run.Trainer):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.seen = {"rows": [], "gradients": []}
        trainers.append(self)

    def train(self, shards):
        draw = shards.draw

        def watched(rng, batch):
            self.seen["rows"].append(torch.from_numpy(draw(rng, batch)))
            return self.seen["rows"][-1].numpy()

        shards.draw = watched
        losses = super().train(shards)
        shards.draw = draw
        self.seen["gradients"].append({name: p.grad.clone() for name, p in self.network.named_parameters()})
        if self.group.rank == 1 and len(self.seen["rows"]) == STOPPED_AFTER:
            os.kill(os.getpid(), signal.SIGTERM)
        return losses

    def _autocast(self):
        return nullcontext()  # bfloat16 would hide what is compared


if __name__ == "__main__":
    faulthandler.dump_traceback_later(STACKS_AFTER_S)
    folder = Path(sys.argv[1])
    settings = json.loads((folder / "config.json").read_text())
    trainers: list[WatchedTrainer] = []
    run.Trainer = WatchedTrainer
    lists = {name: tuple(settings[name]) for name in ("speech", "features")}
    run.run_training(Config(**settings | lists))
    (trainer,) = trainers
    state = {"weights": trainer.network.state_dict(), "average": trainer.average.state_dict(), **trainer.seen}
    state |= {"updates": trainer.updates, "audio_seen_s": trainer.audio_seen_s, "trained_s": trainer.trained_s}
    state["mean_gradients"] = []
    for _ in range(RECONNECTIONS):
        if trainer.group.main:
            time.sleep(LATE_S)  # the other process must not mistake what is left of the last connection for this one's
        layer = torch.nn.Linear(1, 1)
        (layer(torch.ones(1, 1)) * trainer.group.rank).sum().backward()
        with run.process_group() as group:
            group.average(layer)
        state["mean_gradients"].append(layer.weight.grad.item())
    torch.save(state, folder / f"rank{trainer.group.rank}.pt")
