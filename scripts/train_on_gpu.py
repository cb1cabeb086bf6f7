"""Train on a machine that is lent for some minutes: pack a corpus here, train there, bring the weights home.

    python scripts/train_on_gpu.py pack --speech SPEECH.jsonl --noise NOISE.jsonl --rooms ROOMS.jsonl -o packs
    python scripts/train_on_gpu.py train packs --recipe recipes/gated_gpu.toml --minutes 9 -o home --pairs dev

`train` unpacks and decodes with all processors, trains on the GPU where there is one and on the processors otherwise,
and leaves in `home` at most eight files of 15 MiB: the model, the log, the scores, the settings, and the checkpoint in
pieces. Another call with `--from home` goes on from there, for as many minutes more, on the same machine or another.
Where fewer megabytes can be sent than there are, send a pack at a time, with `unpack`, and then train on all.
"""

import argparse
import sys
from pathlib import Path

from percepnet.errors import PercepNetError
from percepnet.training.budget import PACKS, train_within
from percepnet.training.config import Config
from percepnet.training.pack import KILOBITS, pack, unpack
from percepnet.training.recipe import read_recipe


def main(arguments: list[str] | None = None) -> int:
    """Run a command; 2 where the user has to do something."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)

    packing = commands.add_parser("pack", help="pack a corpus into files of limited size")
    for kind in ("speech", "noise", "rooms"):
        packing.add_argument(f"--{kind}", nargs="+", default=[], metavar="PLACE", help="manifests, folders or files")
    packing.add_argument("-o", "--out", type=Path, required=True, metavar="FOLDER")
    packing.add_argument("--megabytes", type=float, default=44.0, help="of a pack at most (default: %(default)s)")
    packing.add_argument("--parts", type=int, help="packs at most; speech that does not fit is left out")
    packing.add_argument("--speech-kilobits", type=float, default=KILOBITS["speech"], metavar="KBIT_S")
    packing.add_argument("--noise-kilobits", type=float, default=KILOBITS["noise"], metavar="KBIT_S")
    packing.add_argument("--processes", type=int)

    unpacking = commands.add_parser("unpack", help="only unpack: for packs that are sent one at a time")
    unpacking.add_argument("packs", nargs="+", type=Path, metavar="PACK", help="packs, or folders of them")

    training = commands.add_parser("train", help="unpack, train, export and score within some minutes")
    training.add_argument("packs", nargs="+", type=Path, metavar="PACK", help="packs, or folders of them")
    training.add_argument("--recipe", type=Path, required=True, metavar="TOML", help="with [source] device = true")
    training.add_argument("--minutes", type=float, required=True, help="for everything")
    training.add_argument("-o", "--out", type=Path, required=True, metavar="FOLDER", help="what is brought home")
    for command in (unpacking, training):
        command.add_argument("--work", type=Path, default=Path("/tmp/percepnet_gpu"), metavar="FOLDER", help="the run")
    training.add_argument("--from", type=Path, dest="earlier", metavar="FOLDER", help="an earlier --out, to go on from")
    training.add_argument("--pairs", type=Path, metavar="FOLDER", help="with clean/ and noisy/, to score on")
    training.add_argument("--score-seconds", type=float, default=45.0, help="kept for that (default: %(default)s)")
    training.add_argument("--batch", type=int, help="sequences side by side, if not the recipe's")
    training.add_argument("--threads", type=int, default=1, help="of the arithmetic, where there is no GPU")
    chosen = parser.parse_args(arguments)
    try:
        return {"pack": _pack, "unpack": _unpack, "train": _train}[chosen.command](chosen)
    except PercepNetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _pack(chosen: argparse.Namespace) -> int:
    packed = pack(
        {kind: getattr(chosen, kind) for kind in ("speech", "noise", "rooms")},
        chosen.out,
        megabytes=chosen.megabytes,
        parts=chosen.parts,
        kilobits={"speech": chosen.speech_kilobits, "noise": chosen.noise_kilobits},
        processes=chosen.processes,
    )
    for path in packed.paths:
        print(f"{path}: {path.stat().st_size / 2**20:.1f} MiB")
    print(", ".join(f"{hours:.2f} h of {kind}" for kind, hours in packed.hours.items()))
    if packed.left_out:
        print(f"{packed.left_out} recordings left out, for which there was no room")
    return 0


def _unpack(chosen: argparse.Namespace) -> int:
    found = unpack(chosen.packs, chosen.work / PACKS)
    print(", ".join(f"{len(paths)} manifests of {kind}" for kind, paths in found.items()))
    return 0


def _train(chosen: argparse.Namespace) -> int:
    settings = read_recipe(chosen.recipe)
    if not settings.get("source") or not settings["source"].device:
        raise PercepNetError(f"{chosen.recipe}: [source] device must be true")
    settings |= {"batch": chosen.batch} if chosen.batch else {}
    config = Config(out=str(chosen.work), **settings | {"threads": chosen.threads})
    train_within(
        config,
        chosen.packs,
        chosen.out,
        minutes=chosen.minutes,
        pairs=chosen.pairs,
        score_seconds=chosen.score_seconds,
        earlier=chosen.earlier,
        say=lambda line: print(line, flush=True),
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
