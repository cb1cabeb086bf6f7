"""A model's card: the facts that a training knows of itself, as Markdown. Scores and limits are its author's to add."""

import json
from collections.abc import Mapping

from percepnet.model import Model, block_density
from percepnet.model.table import Node
from percepnet.params import FRAMES_PER_SECOND
from percepnet.training.info import hours_seen
from percepnet.training.sparsity import matrices

KINDS = {"speech": "Speech", "noise": "Noise", "rooms": "Rooms"}
SMALL_HOURS = 0.1  # sources of less are listed together


def model_card(model: Model, name: str) -> str:
    """The card of a model that was exported from a training.

    Parameters
    ----------
    model : Model
    name : str
        Of the model.

    Returns
    -------
    str
        Markdown: a table of facts, and the recordings with their licences.
    """
    info = model.info
    delay_ms = 1000 * (model.params.lookahead_frames + 1) // FRAMES_PER_SECOND
    before = (
        f", after {hours_seen(info, 'init_')} h of `{info['init']}`, which it started from" if "init" in info else ""
    )
    facts = {
        "architecture": f"{model.weight_count / 1e6:.2f} million weights; {_layers(model)}{_sparsity(model)}",
        "signal path": f"{model.params.bands} bands, look-ahead of {model.params.lookahead_frames} frames: "
        f"{delay_ms} ms of delay",
        "audio seen": f"{hours_seen(info) or '?'} h of mixtures, in {info.get('updates', '?')} updates{before}",
        "time": f"{info.get('hours_trained', '?')} h",
        "loss": _settings(info.get("loss", "{}")),
        "adversarial loss": _settings(info.get("adversarial", "{}")),
        "held-out loss": ", ".join(
            f"{info[key]} ({key.removeprefix('held_out_').removesuffix('_loss')})"
            for key in ("held_out_gain_loss", "held_out_strength_loss")
            if key in info
        ),
        "seed": info.get("seed", "?"),
        "licence": info.get("licence", "not stated"),
    }
    rows = "\n".join(f"| {fact} | {value} |" for fact, value in facts.items() if value)
    return f"# {name}\n\n| | |\n|---|---|\n{rows}\n\n## Recordings\n\n{recordings(info)}"


def recordings(info: Mapping[str, str]) -> str:
    """What a model was trained on, as tables of sources, hours and licences."""
    parts = []
    for kind, title in KINDS.items():
        found = {key.partition("/")[2]: value for key, value in info.items() if key.startswith(f"{kind}/")}
        if not found:
            continue
        hours = {source: float(value.partition(" h, ")[0]) for source, value in found.items()}
        licences = {source: value.partition(" h, ")[2] for source, value in found.items()}
        large = sorted(source for source in found if hours[source] >= SMALL_HOURS)
        small = sorted(set(found) - set(large))
        lines = [f"### {title}\n"]
        if large:
            lines += ["| source | hours | licence |", "|---|---|---|"]
            lines += [f"| `{source}` | {hours[source]:.1f} | {licences[source]} |" for source in large]
        if small:
            listed = "; ".join(f"`{source}` ({licences[source]})" for source in small)
            lines.append(f"{'' if not large else chr(10)}Less than {60 * SMALL_HOURS:.0f} minutes each: {listed}.")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _layers(model: Model) -> str:
    """The layers that have a size of their own, but for the heads: as many units as there are bands."""
    nodes = model.architecture.nodes(model.params)
    heads = model.architecture.heads.values()
    return ", ".join(_layer(node) for node in nodes if node.layer.units is not None and node.layer.name not in heads)


def _layer(node: Node) -> str:
    layer = node.layer
    text = f"{layer.name} {node.shape.units}"
    if layer.kind == "convolution":
        text += f" x {layer.taps}{' depthwise' if layer.depthwise else ''}"
        return text if layer.dilation == 1 else f"{text} of every {layer.dilation} frames"
    return text if layer.kind in layer.name else f"{text} ({layer.kind.replace('_', ' ')})"


def _sparsity(model: Model) -> str:
    """What is left of GRUs and convolutions; empty where all of them is, or where there are none."""
    kinds = matrices(model.architecture, model.params)
    said, gone = [], 0.0
    for kind, plural in (("gru", "GRUs"), ("convolution", "convolutions")):
        found = [model.weights[name] for name in kinds if kinds[name] == kind]
        count = sum(weight.size for weight in found)
        kept = sum(weight.size * block_density(weight) for weight in found)
        if kept < 0.99 * count:
            said.append(f"{kept / count:.0%} of the {plural}'")
            gone += count - kept
    if not said:
        return ""
    left = model.weight_count - gone
    return f"; {' and '.join(said)} blocks of 16 x 4 are kept, {left / 1e6:.2f} million weights in all"


def _settings(text: str) -> str:
    return ", ".join(f"{name} {value}" for name, value in json.loads(text).items())
