"""A network for bins, small and the same for all of them, corrects the shape of the noise."""

from dataclasses import replace

import numpy as np
import pytest

from models import random_model
from percepnet import native
from percepnet.errors import ModelError
from percepnet.model import PRESETS, Layer, Model, load_model, save_model
from percepnet.model.header import write_header
from percepnet.model.presets import with_bins
from percepnet.model.table import Architecture
from percepnet.params import BIN_FEATURES, SAMPLE_RATE_HZ, SHAPED_BINS, SignalParams
from percepnet.reference.layers import PER_BIN
from percepnet.reference.network import bin_network
from percepnet.reference.stream import Stream as Definition
from voices import noise, steady

TINY = PRESETS["tiny"]
KINDS = {
    "as shipped": with_bins(TINY),
    "of odd sizes": with_bins(TINY, 5),
    "wide": with_bins(TINY, 21),
    "another": Architecture(
        (
            *TINY.layers,
            Layer("slow", "gated_recurrence", ("bins",), 19),
            Layer("with_input", "concatenation", ("slow", "bins", "slow")),
            Layer("again", "gated_recurrence", ("with_input",), 3),
            Layer("last", "dense", ("again",), 17, "tanh"),
            Layer("said", "dense", ("last",), 1),
        ),
        {**TINY.heads, "shape": "said"},
    ),
}


def sound(channels=1, seed=0, samples=SAMPLE_RATE_HZ // 2):
    x = [steady(300.0 + 60 * c)[:samples] + noise(c + seed, samples, 0.05) for c in range(channels)]
    return np.stack(x).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("channels", "linked"), [(1, True), (2, True), (2, False)])
def test_the_core_does_as_the_definition_says(kind, channels, linked):
    model, x = random_model(5, preset=KINDS[kind]), sound(channels)
    options = {"channels": channels, "link_channels": linked}
    y = Definition(model, **options).process(x)
    found = native.Stream(model, **options, exact=True).process(x)
    np.testing.assert_allclose(found, y, atol=2e-4 * np.abs(y).max())
    without = native.Stream(random_model(5), **options, exact=True).process(x)
    assert np.abs(y - without).max() > 0.02 * np.abs(y).max()


@pytest.mark.parametrize("lookahead_frames", [0, 1, 2, 3])
@pytest.mark.parametrize("comb_filter", [True, False])
def test_with_any_look_ahead(lookahead_frames, comb_filter):
    params = SignalParams(lookahead_frames, highpass_hz=30.0)
    model, x = random_model(6, params, with_bins(TINY)), sound(seed=3)
    y = Definition(model, comb_filter=comb_filter).process(x)
    found = native.Stream(model, comb_filter=comb_filter, exact=True).process(x)
    np.testing.assert_allclose(found, y, atol=2e-4 * np.abs(y).max())


@pytest.mark.parametrize("kind", KINDS)
def test_all_kernels_blocks_and_chunks_give_the_same_bits(kind):
    model, x = random_model(7, preset=KINDS[kind]), sound(samples=24_000)
    whole = native.Stream(model).process(x)
    for kernel in native.kernels():
        np.testing.assert_array_equal(native.Stream(model, kernel=kernel).process(x), whole)
    stream = native.Stream(model, block_hops=1)
    for _ in range(2):
        parts = [stream.process(x[:, i : i + 700]) for i in range(0, x.shape[1], 700)]
        together = np.concatenate(parts, axis=1)
        np.testing.assert_array_equal(together, whole[:, : together.shape[1]])
        stream.reset()  # forgets


def test_streams_of_a_batch_do_not_hear_each_other():
    model, x = random_model(8, preset=with_bins(TINY)), sound(3, samples=9600)
    streams = [native.Stream(model) for _ in x]
    found = native.Batch(model).process(streams, [row[None] for row in x])
    for row, together in zip(x, found, strict=True):
        np.testing.assert_array_equal(together, native.Stream(model).process(row[None]))


def test_one_that_says_nothing_leaves_the_rule_as_it_is():
    model, x = random_model(9), sound()
    shapes = with_bins(TINY).shapes(model.params)
    weights = {name: model.weights.get(name, np.zeros(shape, np.float32)) for name, shape in shapes.items()}
    silent = Model(model.params, with_bins(TINY), weights)
    np.testing.assert_array_equal(native.Stream(silent).process(x), native.Stream(model).process(x))


def test_silence_stays_silence():
    y = native.Stream(random_model(3, preset=with_bins(TINY))).process(np.zeros((1, 9600), np.float32))
    assert not y.any()


def test_a_file_of_one_says_that_it_needs_a_reader_that_knows_it(tmp_path):
    model = random_model(4, preset=with_bins(TINY))
    save_model(model, tmp_path / "m.safetensors")
    read = load_model(tmp_path / "m.safetensors")
    assert read.architecture == model.architecture
    for name, weights in model.weights.items():
        if name.startswith("bin_"):
            np.testing.assert_array_equal(read.weights[name], weights)
    assert '"requires": ["bins"]' in write_header(model.params, model.architecture, {})
    assert "requires" not in write_header(model.params, TINY, {})


def test_it_is_beside_the_network_and_not_in_it():
    params, both = SignalParams(), with_bins(TINY)
    assert both.nodes(params) == TINY.nodes(params)
    assert next(node.shape.inputs for node in both.nodes(params, PER_BIN)) == (BIN_FEATURES,)
    assert both.with_bins_of(TINY) == TINY
    assert TINY.with_bins_of(both) == both
    assert bin_network(random_model()) is None
    found = bin_network(random_model(preset=both)).step(np.zeros((SHAPED_BINS, BIN_FEATURES), np.float32))
    assert found.shape == (SHAPED_BINS,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bin_both": ("bin_dense", "gru1")}, r"layers.bin_both.inputs: expected 'features' or 'bins', found both"),
        ({"gain": ("bin_dense",)}, r"layers.gain.inputs: expected earlier layers"),
    ],
)
def test_what_hears_bins_and_what_hears_frames_do_not_mix(change, message):
    both = with_bins(TINY)
    layers = [replace(layer, inputs=change.get(layer.name, layer.inputs)) for layer in both.layers]
    with pytest.raises(ModelError, match=message):
        Architecture(tuple(layers), both.heads)
    without_head = {head: name for head, name in both.heads.items() if head != "shape"}
    with pytest.raises(ModelError, match=r"heads\.shape: expected the name of a layer"):
        Architecture(both.layers, without_head)
