"""Every kind of layer: the core against its definition in NumPy, and the definition against independent formulas."""

import numpy as np
import pytest

from percepnet import native
from percepnet.model import KINDS, Architecture, Layer, Model
from percepnet.params import HEARD_FEATURES, HOP_SAMPLES, SignalParams
from percepnet.reference.layers import Convolution, GatedRecurrence, Gru, Normalisation, Shape, Sum
from percepnet.reference.network import Network
from voices import glide, noise

PARAMS = SignalParams(highpass_hz=30.0, feature_blocks=HEARD_FEATURES)


def every_kind(precision="float32", units=24):
    """A network in which each kind of layer is needed by every head."""
    return Architecture(
        (
            Layer("dense", "dense", ("features",), units, "tanh"),
            Layer("depthwise", "convolution", ("dense",), units, "relu", "float32", 4, 2, True),
            Layer("norm", "normalisation", ("depthwise",)),
            Layer("squeezed", "dense", ("norm",), units, "tanh"),
            Layer("dilated", "convolution", ("squeezed",), units, "tanh", precision, 3, 4),
            Layer("memory", "gated_recurrence", ("dilated",), units, precision=precision),
            Layer("back", "dense", ("memory",), units, "linear", precision),
            Layer("residual", "sum", ("dense", "back")),
            Layer("gru", "gru", ("residual",), units, precision="float32", memory=20),
            Layer("both", "concatenation", ("gru", "residual", "dense")),
            Layer("gain", "dense", ("both",), "bands", "sigmoid"),
            Layer("strength", "dense", ("both",), "bands", "sigmoid"),
            Layer("speech", "dense", ("gru",), 1, "sigmoid"),
        ),
        {"gains": "gain", "strengths": "strength", "speech": "speech"},
    )


def random_model(architecture, seed=0, spread=0.4):
    rng = np.random.default_rng(seed)
    shapes = architecture.shapes(PARAMS)
    return Model(
        PARAMS, architecture, {n: rng.uniform(-spread, spread, s).astype(np.float32) for n, s in shapes.items()}
    )


def signal(channels=1, seconds=0.8):
    voice, _ = glide(11, seconds)
    return np.stack([voice / (1 + c) + noise(c, len(voice), 0.01) for c in range(channels)]).astype(np.float32)


def test_all_kinds_are_in_the_table():
    assert {layer.kind for layer in every_kind().layers} == set(KINDS)


# The core against NumPy.


@pytest.mark.parametrize("units", [5, 16, 40])
@pytest.mark.parametrize("channels", [1, 2])
def test_core_decides_as_numpy_does(core, units, channels):
    """From the same features the same gains and strengths."""
    model, x = random_model(every_kind(units=units)), signal(channels)
    enhancer = native.FrameEnhancer(model, channels, exact=True)
    network = Network(model)
    state = network.initial_state()
    gains = []
    for start in range(0, x.shape[1], HOP_SAMPLES):
        enhancer.process(x[:, start : start + HOP_SAMPLES])
        frame = enhancer.inspect()
        expected = network.outputs(frame.features, state)
        np.testing.assert_allclose(frame.gains, expected["gain"], atol=1e-4)
        np.testing.assert_allclose(frame.strengths, expected["strength"], atol=1e-4)
        gains.append(frame.gains)
    assert np.std(gains) > 0.05


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_kernels_blocks_and_streams_give_the_same_bits(core, precision):
    model, x = random_model(every_kind(precision)), signal(2)
    expected = native.FrameEnhancer(model, 2, block_hops=1).process(x)
    for kernel in native.kernels():
        for block_hops in (1, 3, 32):
            enhancer = native.FrameEnhancer(model, 2, kernel=kernel, block_hops=block_hops)
            np.testing.assert_array_equal(enhancer.process(x), expected)


def test_8_bits_stay_close_to_single_precision(core):
    model, x = random_model(every_kind("int8"), spread=0.2), signal()
    exact, rounded = (native.FrameEnhancer(model, exact=exact).process(x) for exact in (True, False))
    error = np.linalg.norm(rounded - exact) / np.linalg.norm(exact)
    assert 0 < error < 0.05


def test_features_of_the_core_are_those_of_numpy(core):
    from percepnet.native_analysis import Analysis as NativeAnalysis
    from percepnet.reference.analysis import Analysis

    x = signal(2) + np.float32(0.02)
    found = NativeAnalysis(PARAMS, 2).push(x)
    expected = Analysis(PARAMS, 2).push(x, found.tap_delays)
    for block, columns in PARAMS.feature_slices.items():
        if block != "pitch":
            np.testing.assert_allclose(
                found.features[:, columns], expected.features[:, columns], atol=2e-3, err_msg=block
            )
    np.testing.assert_allclose(found.noisy, expected.noisy, atol=2e-4)


# The definition against formulas.


def weights_of(kind, shape, rng):
    tensors = kind.tensors(shape)
    made = {name: rng.standard_normal(tensor.shape).astype(np.float32) for name, tensor in tensors.items()}
    return kind.prepared(shape, made), made


def run(kind, shape, prepared, x):
    state = np.zeros(kind.state(shape), np.float32)
    return np.stack([kind.step(shape, prepared, [frame], state) for frame in x])


@pytest.mark.parametrize("depthwise", [False, True])
def test_convolution_is_one_over_past_frames(depthwise):
    rng = np.random.default_rng(1)
    shape = Shape((6,), 6, "linear", taps=3, dilation=2, depthwise=depthwise)
    prepared, weights = weights_of(Convolution, shape, rng)
    x = rng.standard_normal((9, 6)).astype(np.float32)
    y = run(Convolution, shape, prepared, x)
    for t in range(9):
        expected = weights["bias"].copy()
        for tap in range(3):
            if (past := t - 2 * (2 - tap)) >= 0:
                kernel = weights["weight"][:, :, tap]
                expected += kernel[:, 0] * x[past] if depthwise else kernel @ x[past]
        np.testing.assert_allclose(y[t], expected, rtol=1e-4, atol=1e-5)


def test_gated_recurrence_is_a_moving_mean_of_its_own_choice():
    """With z constant it is the exponential mean of n."""
    shape = Shape((3,), 3)
    weights = {"weight": np.concatenate([np.zeros((3, 3)), np.eye(3)]), "bias": np.zeros(6)}
    weights = {name: value.astype(np.float32) for name, value in weights.items()}
    x = np.random.default_rng(2).standard_normal((20, 3)).astype(np.float32)
    y = run(GatedRecurrence, shape, weights, x)
    powers = 0.5 ** np.arange(1, 21)  # z = sigmoid(0)
    expected = [powers[: t + 1] @ np.tanh(x[t::-1]) for t in range(20)]
    np.testing.assert_allclose(y, expected, atol=1e-6)


@pytest.mark.parametrize("memory", [0, 2, 2000])
def test_a_gru_keeps_what_it_never_updates_for_as_long_as_its_memory(memory):
    """With update gates that stay open the state stays, or falls with that time constant."""
    shape = Shape((1,), 3, memory=memory)
    weights = {name: np.zeros(tensor.shape, np.float32) for name, tensor in Gru.tensors(shape).items()}
    weights["bias_ih"][3:6] = 40  # z = 1
    state = np.array([1.0, -0.5, 0.25], np.float32)
    before = state.copy()
    for _ in range(100):
        Gru.step(shape, weights, [np.ones(1, np.float32)], state)
    np.testing.assert_allclose(state, before * ((1 - 1 / memory) ** 100 if memory else 1), rtol=1e-4)


def test_normalised_channels_have_no_mean_and_unit_variance():
    shape = Shape((50,), 50)
    weights = {"weight": np.ones(50, np.float32), "bias": np.zeros(50, np.float32)}
    y = run(Normalisation, shape, weights, 7 + 3 * np.random.default_rng(3).standard_normal((4, 50)).astype(np.float32))
    np.testing.assert_allclose(y.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(axis=1), 1, atol=1e-4)


def test_sums_need_inputs_of_one_size():
    assert Sum.units((4, 4, 4)) == 4
    assert Sum.units((4, 5)) == 0
