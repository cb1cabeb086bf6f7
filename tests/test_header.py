import json

import pytest

from model_files import EVERYTHING, INFO, PARAMS, SMALLEST, SOUND, WRONG, changed, filled, unpacked
from percepnet.errors import ModelError
from percepnet.model import PRESETS, Model, architecture_from_json, architecture_to_json
from percepnet.model.header import check_info, read_header, write_header
from percepnet.params import SignalParams

WHOLE = filled().to_bytes()


def test_round_trip():
    header = read_header(write_header(PARAMS, EVERYTHING, INFO))
    assert header.version == 2
    assert header.params == PARAMS
    assert header.architecture == EVERYTHING
    assert header.info == INFO


@pytest.mark.parametrize("preset", PRESETS)
def test_round_trip_of_presets(preset):
    assert architecture_from_json(architecture_to_json(PRESETS[preset])) == PRESETS[preset]
    assert read_header(write_header(SignalParams(), PRESETS[preset], {})).architecture == PRESETS[preset]


def test_a_layer_says_only_what_its_kind_has():
    layers = architecture_to_json(EVERYTHING)["layers"]
    assert set(layers[0]) == {"name", "kind", "inputs", "units", "activation", "precision"}
    assert set(layers[3]) == {"name", "kind", "inputs"}
    assert set(layers[1]) == set(layers[0]) | {"taps", "dilation", "depthwise"}


def test_the_keys_of_the_documentation():
    value = json.loads(write_header(PARAMS, EVERYTHING, INFO))
    assert set(value) == {"format_version", "family", "inputs", "signal", "features", "layers", "heads", "info"}
    assert value["inputs"] == ["near"]


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.what[:40])
def test_refusals(case):
    with pytest.raises(ModelError) as caught:
        Model.from_bytes(changed(case, WHOLE))
    message = str(caught.value)
    assert message.startswith(f"{case.field}: ")
    assert "expected " in message
    assert "found " in message
    assert message.isprintable()
    assert len(message.encode()) <= 255
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("case", SOUND, ids=lambda case: case.what)
def test_what_is_no_reason_to_refuse(case):
    Model.from_bytes(changed(case, WHOLE))


def test_a_newer_format_is_told_before_all_else():
    with pytest.raises(ModelError, match=r"format_version: expected up to 2, found 7: the file is of a newer format"):
        read_header('{"format_version": 7, "layers": "of another kind"}')


def test_requirements_are_named():
    description, _ = unpacked(WHOLE)
    with pytest.raises(ModelError, match="requires: expected nothing unknown, found 'echo': use a newer percepnet"):
        read_header(json.dumps(description | {"requires": ["echo"]}))


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"format_version": NaN}', "[" * 10**5])
def test_what_is_no_header(text):
    with pytest.raises(ModelError, match=r"^metadata: expected .*not a percepnet model$"):
        read_header(text)


def test_format_1_is_the_network_of_the_article():
    sizes = {"dense": 2, "conv1": 2, "conv2": 2, "gru": 2, "strength_gru": 2}
    params = {"lookahead_frames": 3, "band_edges": [0, 9]}
    header = read_header(json.dumps({"format_version": 1, "params": params, "architecture": sizes, "info": INFO}))
    assert header.version == 1
    assert header.architecture == SMALLEST
    assert header.params == SignalParams(3, (0, 9))
    assert header.info == INFO


@pytest.mark.parametrize("info", [{"hours": 3}, {3: "hours"}, {"half": "\ud800"}, {"\ud800": "half"}])
def test_info_that_cannot_be_written(info):
    with pytest.raises(ModelError, match=r"info\..*: expected text"):
        check_info(info)
    with pytest.raises(ModelError, match=r"info\..*: expected text"):
        Model(filled().params, filled().architecture, filled().weights, info)
