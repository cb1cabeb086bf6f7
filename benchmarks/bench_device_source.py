"""Stages of a training whose mixtures are made on the device: their speed here, and what an H100 would take.

    python benchmarks/bench_device_source.py --speech SPEECH --noise NOISE --rooms ROOMS [--lanes 8] [--seconds 10]

Here: seconds of audio in a second of one processor's time; on a GPU in a second of time. The estimate counts what every
operation reads and writes, at 70 % of an H100's bandwidth of 3.35 TB/s, and its products, at a third of its arithmetic
(60 Tflop/s in single precision, 330 in TF32). Beside that stand 6 microseconds for every operation, in which the host
orders it: as many for a batch of 192 as for one of 8.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from percepnet.acoustics.mixing import MixingConfig
from percepnet.params import SignalParams
from percepnet.training.config import Config
from percepnet.training.corpus import find_clips
from percepnet.training.device.config import SourceConfig
from percepnet.training.device.source import DeviceSource
from percepnet.training.features import Recordings
from percepnet.training.rows import RowLayout
from percepnet.training.signal.analysis import analyse
from percepnet.training.signal.examples import Mixtures, examples
from percepnet.training.signal.oracle import decide
from percepnet.training.signal.precision import full_precision
from percepnet.training.signal_loss import SignalLossWeights
from percepnet.training.trainer import Trainer

BANDWIDTH = 0.7 * 3.35e12
FLOPS = {"signal": 20e12, "network": 110e12}
LAUNCH_S = 6e-6
BATCH = 192
LARGE_TRANSFORM = 1 << 14  # samples, from which a transform goes through memory three times
GATHERS = ("aten.index.Tensor", "aten.gather", "aten.index_select", "aten.embedding")


class Traffic(TorchDispatchMode):
    """Counts operations, and the bytes that they read and write."""

    def __init__(self) -> None:
        super().__init__()
        self.operations, self.bytes = 0, 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        outputs = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        places = {tensor.untyped_storage().data_ptr() for tensor in inputs}
        is_view = not func._schema.is_mutable and all(out.untyped_storage().data_ptr() in places for out in outputs)
        if is_view or not outputs:
            return result
        name = str(func)
        if name.startswith(GATHERS):
            inputs = [*inputs[1:], *outputs]  # of what is gathered from, as much is read as comes out
        size = sum(_bytes(tensor) for tensor in (*inputs, *outputs))
        if "fft" in name and max(tensor.shape[-1] for tensor in (*inputs, *outputs)) > LARGE_TRANSFORM:
            size *= 3
        self.operations += 1
        self.bytes += size
        return result


def _bytes(tensor: Tensor) -> float:
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


def measure(name: str, seconds: float, kind: str, run: Callable[[], Any]) -> tuple[float, float]:
    """Run once to warm up, once to time, once to count, and print a line; the estimate for a batch, of GPU and host."""
    run()
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.synchronize()
    begin = time.perf_counter() if on_gpu else time.process_time()
    run()
    if on_gpu:
        torch.cuda.synchronize()
    took_s = (time.perf_counter() if on_gpu else time.process_time()) - begin
    with Traffic() as traffic, FlopCounterMode(display=False) as flops:
        run()
    products = flops.get_total_flops()
    gpu_s = traffic.bytes / BANDWIDTH / seconds + products / FLOPS[kind] / seconds
    host_s = LAUNCH_S * traffic.operations
    print(
        f"{name:28s} {seconds / took_s:8.1f} s/s here   {traffic.operations:6d} operations  "
        f"{traffic.bytes / seconds / 1e6:7.1f} MB and {products / seconds / 1e9:6.3f} Gflop a second of audio   "
        f"{1 / gpu_s:9.0f} s/s on an H100, if the host keeps up ({1e3 * host_s:.0f} ms a batch)",
        flush=True,
    )
    return gpu_s, host_s


def main() -> None:
    """Measure all stages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for kind in ("speech", "noise", "rooms"):
        parser.add_argument(f"--{kind}", nargs="+", required=True)
    parser.add_argument("--lanes", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--preset", default="gated")
    parser.add_argument("--work", default="/tmp/bench_device_source")
    chosen = parser.parse_args()
    source = SourceConfig(
        device=True, segment_seconds=chosen.seconds, bank_noises=4, bank_rooms=32, lanes_at_once=chosen.lanes
    )
    mixing = MixingConfig(pause_share=0.2, distance_share=0.12)
    blocks = ("relative_band_levels", "coherences", "pitch")
    config = Config(
        out=chosen.work, preset=chosen.preset, features=blocks, batch=chosen.lanes, chunk_frames=250, source=source,
        mixing=mixing, updates=10**6,
    )  # fmt: skip
    trainer = Trainer(config, {})
    params: SignalParams = trainer.network.params
    clips = (find_clips(getattr(chosen, kind)) for kind in ("speech", "noise", "rooms"))
    recordings = Recordings(*clips, Path(chosen.work) / "audio", mixing=mixing)
    arguments = {"lanes": chosen.lanes, "seed": 0, "keep_spectra": True}
    made = DeviceSource(recordings, params, source, trainer.device, **arguments)  # type: ignore[arg-type]
    seconds = chosen.lanes * chosen.seconds
    analysed = RowLayout(params).analysed
    with full_precision(), torch.no_grad():
        mixtures, _ = made._mixer.segment(0)
        noisy, _ = analyse(analysed, mixtures.noisy)
        clean, _ = analyse(analysed, mixtures.clean, None, noisy.tap_delays)
        stages = [
            measure("mixing", seconds, "signal", lambda: made._mixer.segment(1)),
            measure("analysis of the noisy sound", seconds, "signal", lambda: analyse(analysed, mixtures.noisy)),
            measure(
                "analysis of the clean sound",
                seconds,
                "signal",
                lambda: analyse(analysed, mixtures.clean, None, noisy.tap_delays),
            ),
            measure("oracle", seconds, "signal", lambda: decide(clean, noisy, analysed)),
        ]
        rows = examples(Mixtures(*mixtures), params)[0]
    fixed = _Fixed(rows)
    made.segment = fixed  # type: ignore[method-assign, assignment]
    stages.append(measure("updates", seconds, "network", lambda: trainer.train(made)))
    _summary("all, plain loss", stages)
    trainer.config = Config(**{**vars(config), "signal": SignalLossWeights(1.0)})
    with_sound = measure("updates, loss on the sound", seconds, "network", lambda: trainer.train(made))
    _summary("all, loss on the sound", [*stages[:-1], with_sound])


def _summary(name: str, stages: list[tuple[float, float]]) -> None:
    gpu_s, host_s = (sum(stage[part] for stage in stages) for part in (0, 1))
    batch_s = 10.0 * BATCH
    print(f"{name}: {batch_s / max(gpu_s * batch_s, host_s):.0f} s/s on an H100, batch of {BATCH} x 10 s")


class _Fixed:
    """The same segment again and again."""

    def __init__(self, rows: Any) -> None:
        self._rows = rows

    def __call__(self, number: int) -> Any:
        begins = torch.zeros(len(self._rows.rows), dtype=torch.bool, device=self._rows.rows.device)
        return self._rows, begins


if __name__ == "__main__":
    main()
