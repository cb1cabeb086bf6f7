"""What a model says of its training: how long, on what, from which model; without the paths of the machine."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from percepnet.model import load_model
from percepnet.training.corpus import Clip, summary

LOSSES = ("loss", "gain", "strength")


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
    seen = float(hours_seen(before) or 0) + float(hours_seen(before, "init_") or 0)
    return {"init": Path(init).stem, "init_hours_seen": f"{seen:.1f}"}


def hours_seen(info: Mapping[str, str], whose: str = "") -> str | None:
    """Hours of audio that a model was trained on, also of one from when they were called otherwise; None for none.

    Parameters
    ----------
    info : mapping
        The model's.
    whose : str
        ``init_`` for those of the model that it started from.
    """
    return info.get(f"{whose}hours_seen", info.get(f"{whose}hours_heard"))


def model_info(checkpoint: dict[str, Any]) -> dict[str, str]:
    """The card of a model: how and on what it was trained, without the paths of the machine it was trained on."""
    settings = checkpoint["settings"]
    info = {
        "hours_seen": f"{audio_seen_s(checkpoint) / 3600:.1f}",
        "updates": str(checkpoint["updates"]),
        "hours_trained": f"{checkpoint['trained_s'] / 3600:.2f}",
        "seed": str(settings["seed"]),
        "loss": json.dumps(settings["loss"]),
        "speech_weights": json.dumps(settings["speech_weights"]),
        "excluded": json.dumps(settings["exclude"]),
    }
    if (teacher := settings.get("teacher", {})).get("models"):
        # models by name, or by file without the path
        named = [Path(name).name for name in teacher["models"]]
        info["teacher"] = json.dumps({**teacher, "models": named})
    losses = {name: checkpoint["validation"][name] for name in LOSSES if name in checkpoint["validation"]}
    info.update({f"held_out_{name}_loss": f"{value:.5f}" for name, value in losses.items()})
    return info | checkpoint["corpus"]


def audio_seen_s(checkpoint: Mapping[str, Any]) -> float:
    """Seconds of audio that a checkpoint was trained on, also of one from when they were called otherwise."""
    return float(checkpoint["audio_seen_s"] if "audio_seen_s" in checkpoint else checkpoint["heard_s"])
