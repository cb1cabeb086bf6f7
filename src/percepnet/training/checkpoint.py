"""Checkpoints of trainings: reading them, and finding in them the network that they are of."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from percepnet.errors import ModelError, PercepNetError
from percepnet.model import architecture_from_json, architecture_to_json, article_network
from percepnet.model.table import Architecture
from percepnet.params import PERCEPNET_FEATURES, SignalParams
from percepnet.training.network import TrainingNetwork

CHECKPOINT_NAME = "checkpoint.pt"
ARTICLE_SIZES = {"dense", "conv1", "conv2", "gru", "strength_gru"}
# What checkpoints from before these could be chosen were trained with.
PARAMS_BEFORE: Mapping[str, Any] = {"highpass_hz": 0.0, "feature_blocks": PERCEPNET_FEATURES}


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A run's checkpoint.

    Raises
    ------
    PercepNetError
        If there is none, or if it is damaged.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise PercepNetError(f"{path}: no such checkpoint; a run's folder has one after its first minutes") from None
    except Exception as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PercepNetError(f"{path}: not a checkpoint of a training, or a damaged one ({said})") from error
    if not isinstance(state, dict) or "average" not in state:
        raise PercepNetError(f"{path}: not a checkpoint of a training")
    return state


def network_fields(network: TrainingNetwork) -> dict[str, Any]:
    """What a checkpoint says of its network, as plain data; `checkpoint_network` reads it."""
    return {"architecture": architecture_to_json(network.architecture), "params": asdict(network.params)}


def checkpoint_network(path: Path, checkpoint: Mapping[str, Any], weights: str = "average") -> TrainingNetwork:
    """The network of a checkpoint, with its weights.

    Parameters
    ----------
    path : Path
        For messages.
    checkpoint : mapping
        From `read_checkpoint`.
    weights : str
        Which of them: "average" or "network".

    Raises
    ------
    ModelError
        If the network is none that there can be, or if the weights are those of another. The message names the field.
    """
    try:
        params, architecture = _params(checkpoint.get("params")), _architecture(checkpoint.get("architecture"))
        network = TrainingNetwork(params, architecture)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    load_weights(path, network, checkpoint, weights)
    return network


def checkpoint_features(checkpoint: Mapping[str, Any]) -> tuple[str, ...]:
    """The blocks that its network is given."""
    return _params(checkpoint.get("params")).feature_blocks


def load_weights(path: Path, network: TrainingNetwork, checkpoint: Mapping[str, Any], weights: str) -> None:
    """Give a network the weights of a checkpoint.

    Parameters
    ----------
    path : Path
        For messages.
    network : TrainingNetwork
    checkpoint : mapping
    weights : str
        Which of them: "average" or "network".

    Raises
    ------
    ModelError
        If they are those of another network. The message names the field.
    """
    found = checkpoint.get(weights)
    if not isinstance(found, Mapping):
        raise ModelError(f"{path}: {weights}: expected weights by name, found {found!r:.40}")
    expected = network.state_dict()
    for name in sorted(expected.keys() | found.keys()):
        if name not in expected:
            raise ModelError(f"{path}: {weights}.{name}: the architecture has no such weights")
        if not isinstance(found.get(name), Tensor):
            raise ModelError(f"{path}: {weights}.{name}: the architecture has such weights, the checkpoint has none")
        shapes = tuple(expected[name].shape), tuple(found[name].shape)
        if shapes[0] != shapes[1]:
            raise ModelError(f"{path}: {weights}.{name}: expected shape {shapes[0]}, found {shapes[1]}")
    network.load_state_dict(dict(found))


def _params(value: Any) -> SignalParams:
    _check_type("params", value, Mapping)
    given: dict[str, Any] = {**PARAMS_BEFORE, **value}
    known = {field.name for field in fields(SignalParams)}
    if unknown := sorted(given.keys() - known):
        raise ModelError(f"params.{unknown[0]}: found this field, expected none of that name")
    if missing := sorted(known - given.keys()):
        raise ModelError(f"params.{missing[0]}: expected this field, found none")
    _check_type("params.lookahead_frames", given["lookahead_frames"], int)
    _check_type("params.highpass_hz", given["highpass_hz"], (int, float))
    tuples = {"band_edges": int, "feature_blocks": str}
    return SignalParams(**given | {name: _tuple(f"params.{name}", given[name], kind) for name, kind in tuples.items()})


def _architecture(value: Any) -> Architecture:
    _check_type("architecture", value, Mapping)
    if value.keys() == ARTICLE_SIZES:
        return article_network(**value)  # from when there was no other network
    try:
        return architecture_from_json(json.loads(json.dumps(value)))  # tuples become lists
    except TypeError as error:
        raise ModelError(f"architecture: expected plain data, found something else ({error})") from error


def _tuple(where: str, value: Any, kind: Any) -> tuple[Any, ...]:
    _check_type(where, value, (list, tuple))
    for number, item in enumerate(value):
        _check_type(f"{where}.{number}", item, kind)
    return tuple(value)


def _check_type(where: str, value: Any, kinds: Any) -> None:
    # the rest of what a field can be is for SignalParams and Architecture to say
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise ModelError(f"{where}: expected another type, found {value!r:.40}")
