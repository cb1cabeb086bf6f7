from dataclasses import replace

import numpy as np
import pytest

from model_files import EVERYTHING, PARAMS
from percepnet.errors import ModelError
from percepnet.model import Architecture, Layer
from percepnet.params import SignalParams
from percepnet.reference.layers import KINDS

GAIN = Layer("gain", "dense", ("features",), "bands", "sigmoid")
STRENGTH = Layer("strength", "dense", ("features",), "bands", "sigmoid")


def with_layer(**values):
    """A dense layer of 4, changed, between the features and nothing."""
    return Architecture((replace(Layer("x", "dense", ("features",), 4), **values), GAIN, STRENGTH))


def test_every_kind_is_in_the_table_of_the_tests():
    assert {layer.kind for layer in EVERYTHING.layers} == set(KINDS)


def test_shapes_by_hand():
    shapes = EVERYTHING.shapes(PARAMS)
    features = 5 + 5 + 2 + 5 + 100
    assert shapes == {
        "in.weight": (6, features),
        "in.bias": (6,),
        "wide.weight": (8, 6, 3),
        "wide.bias": (8,),
        "deep.weight": (8, 1, 4),
        "deep.bias": (8,),
        "norm.weight": (8,),
        "norm.bias": (8,),
        "memory.weight_ih": (15, 8),
        "memory.weight_hh": (15, 5),
        "memory.bias_ih": (15,),
        "memory.bias_hh": (15,),
        "scan.weight": (16, 8),
        "scan.bias": (16,),
        "gain.weight": (5, 8 + 5 + features),
        "gain.bias": (5,),
        "strength.weight": (5, 5),
        "strength.bias": (5,),
        "voice.weight": (1, 5),
        "voice.bias": (1,),
    }


def test_8_bit_matrices():
    expected = {"wide.weight", "memory.weight_ih", "memory.weight_hh", "scan.weight", "voice.weight"}
    assert EVERYTHING.int8_names(PARAMS) == expected
    assert not EVERYTHING.in_single_precision().int8_names(PARAMS)
    assert EVERYTHING.in_single_precision().shapes(PARAMS) == EVERYTHING.shapes(PARAMS)


def test_bands_follow_the_signal_path():
    assert Architecture((GAIN, STRENGTH)).shapes(SignalParams(band_edges=(0, 9)))["gain.bias"] == (2,)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "X"}, r"layers\.0\.name: expected up to 47 lower-case letters.*, found 'X'"),
        ({"name": "a" * 48}, r"layers\.0\.name"),
        ({"name": 3}, r"layers\.0\.name"),
        ({"name": "features"}, r"layers\.features\.name: expected another one, found it twice"),
        ({"kind": "lstm"}, r"layers\.x\.kind: expected one of dense, .*, found 'lstm'"),
        ({"inputs": ()}, r"layers\.x\.inputs: expected 1, found 0"),
        ({"inputs": ("features",) * 2}, r"layers\.x\.inputs: expected 1, found 2"),
        ({"inputs": ("x",)}, r"layers\.x\.inputs: expected earlier layers or 'features', found 'x'"),
        ({"inputs": ("gain",)}, r"layers\.x\.inputs: expected earlier layers or 'features', found 'gain'"),
        ({"units": 0}, r"layers\.x\.units: expected an integer from 1 to 4096 or 'bands', found 0"),
        ({"units": 4097}, r"layers\.x\.units"),
        ({"units": True}, r"layers\.x\.units"),
        ({"units": 4.0}, r"layers\.x\.units"),
        ({"units": None}, r"layers\.x\.units"),
        ({"units": 10**5000}, r"layers\.x\.units: .*found int"),
        ({"activation": "softmax"}, r"layers\.x\.activation: expected one that dense has, found 'softmax'"),
        ({"kind": "gru", "activation": "tanh"}, r"layers\.x\.activation"),
        ({"precision": "int4"}, r"layers\.x\.precision: expected one that dense has, found 'int4'"),
        ({"taps": 2}, r"layers\.x\.taps: expected an integer from 1 to 1, found 2"),
        ({"kind": "convolution", "taps": 65}, r"layers\.x\.taps: expected an integer from 1 to 64, found 65"),
        ({"kind": "convolution", "dilation": 257}, r"layers\.x\.dilation: expected an integer from 1 to 256"),
        ({"kind": "convolution", "dilation": True}, r"layers\.x\.dilation"),
        ({"depthwise": True}, r"layers\.x\.depthwise: expected false, or true of a convolution, found True"),
        ({"depthwise": 0}, r"layers\.x\.depthwise"),
        ({"kind": "convolution", "depthwise": True, "precision": "int8"}, r"layers\.x\.precision: expected 'float32'"),
        ({"kind": "normalisation"}, r"layers\.x\.units: expected none for normalisation, found 4"),
        (
            {"kind": "sum", "inputs": ("features",) * 33, "units": None},
            r"layers\.x\.inputs: expected 2 to 32, found 33",
        ),
    ],
)
def test_layers_that_do_not_fit(values, message):
    with pytest.raises(ModelError, match=f"^{message}"):
        with_layer(**values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "convolution", "depthwise": True}, r"layers\.x\.units: expected 70, as it is depthwise, found 4"),
        ({"units": 3, "name": "gain"}, r"layers\.gain\.name"),
    ],
)
def test_sizes_that_do_not_fit(values, message):
    with pytest.raises(ModelError, match=message):
        with_layer(**values).nodes(SignalParams())


def test_a_sum_of_two_sizes():
    layers = (GAIN, Layer("x", "sum", ("gain", "features")), STRENGTH)
    with pytest.raises(ModelError, match=r"layers\.x\.inputs: expected inputs of one size, found \[34, 70\]"):
        Architecture(layers).nodes(SignalParams())


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ({"gains": "gain"}, r"heads\.strengths: expected the name of a layer, found no such field"),
        ({"gains": "gain", "strengths": "nothing"}, r"heads\.strengths: .*found 'nothing'"),
        (
            {"gains": "features", "strengths": "strength"},
            r"heads\.gains: expected the name of a layer, found 'features'",
        ),
        (
            {"gains": "gain", "strengths": "strength", "tempo": "gain"},
            r"heads\.tempo: expected gains, strengths, speech",
        ),
    ],
)
def test_heads_that_are_none(heads, message):
    with pytest.raises(ModelError, match=message):
        Architecture((GAIN, STRENGTH), heads)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (replace(GAIN, units=33), r"heads\.gains: expected 34 units, found 33"),
        (replace(GAIN, activation="tanh"), r"heads\.gains: expected a layer of activation 'sigmoid', found 'tanh'"),
        (Layer("gain", "gru", ("features",), "bands"), r"heads\.gains: .*'sigmoid', found 'linear'"),
    ],
)
def test_heads_that_do_not_fit(layer, message):
    with pytest.raises(ModelError, match=message):
        Architecture((layer, STRENGTH)).nodes(SignalParams())


def test_the_number_of_layers():
    chain = tuple(Layer(f"n{i}", "normalisation", ("features",)) for i in range(126))
    assert len(Architecture((GAIN, STRENGTH, *chain)).nodes(SignalParams())) == 128
    with pytest.raises(ModelError, match="layers: expected 1 to 128, found 129"):
        Architecture((GAIN, STRENGTH, *chain, Layer("more", "normalisation", ("features",))))
    with pytest.raises(ModelError, match="layers: expected 1 to 128, found 0"):
        Architecture(())


def test_a_small_table_cannot_ask_for_much_memory():
    wide = Layer("w0", "dense", ("features",), 4096)
    chain = [Layer(f"w{i + 1}", "concatenation", (f"w{i}",) * 32) for i in range(3)]
    with pytest.raises(ModelError, match=r"layers\.w2\.units: expected at most 524288 in all layers, found"):
        Architecture((GAIN, STRENGTH, wide, *chain)).nodes(SignalParams())
    long = Layer("long", "convolution", ("w0",), 1, taps=64, dilation=256)
    with pytest.raises(ModelError, match=r"layers\.long\.taps: expected at most 16777216 numbers"):
        Architecture((GAIN, STRENGTH, wide, long)).nodes(SignalParams())


def test_tables_compare_and_hash_by_value():
    assert Architecture((GAIN, STRENGTH)) == Architecture((GAIN, STRENGTH))
    assert Architecture((GAIN, STRENGTH)) != Architecture((STRENGTH, GAIN))
    assert np.prod(Architecture((GAIN, STRENGTH)).shapes(SignalParams())["gain.weight"]) == 34 * 70
