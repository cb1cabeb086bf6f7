import numpy as np
import pytest

from percepnet.model import PRESETS, Model
from percepnet.model.presets import article_network
from percepnet.params import SignalParams
from percepnet.reference.network import Network

PARAMS = SignalParams(band_edges=(0, 10, 400))
SIZES = article_network(dense=5, conv1=6, conv2=7, gru=4, strength_gru=3)


def random_model(seed=0):
    rng = np.random.default_rng(seed)
    shapes = SIZES.shapes(PARAMS)
    return Model(PARAMS, SIZES, {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()})


def features(frames, seed=1):
    return np.random.default_rng(seed).uniform(-1, 1, (frames, PARAMS.features)).astype(np.float32)


def test_against_the_equations_in_float64():
    """Written out frame by frame from their equations, with an explicit sum over taps."""
    model = random_model()
    w = {name: weight.astype(np.float64) for name, weight in model.weights.items()}
    x = features(12).astype(np.float64)

    def sigmoid(v):
        return 1 / (1 + np.exp(-v))

    def conv(signal, name, taps):
        out = []
        for t in range(len(signal)):
            total = w[f"{name}.bias"].copy()
            for k in range(taps):
                past = t - (taps - 1) + k
                if past >= 0:
                    total += w[f"{name}.weight"][:, :, k] @ signal[past]
            out.append(np.tanh(total))
        return np.array(out)

    def gru(signal, name):
        units = w[f"{name}.weight_hh"].shape[1]
        w_r, w_z, w_n = np.split(w[f"{name}.weight_ih"], 3)
        u_r, u_z, u_n = np.split(w[f"{name}.weight_hh"], 3)
        b_r, b_z, b_n = np.split(w[f"{name}.bias_ih"], 3)
        c_r, c_z, c_n = np.split(w[f"{name}.bias_hh"], 3)
        h = np.zeros(units)
        out = []
        for v in signal:
            r = sigmoid(w_r @ v + b_r + u_r @ h + c_r)
            z = sigmoid(w_z @ v + b_z + u_z @ h + c_z)
            n = np.tanh(w_n @ v + b_n + r * (u_n @ h + c_n))
            h = (1 - z) * n + z * h
            out.append(h)
        return np.array(out)

    dense = np.tanh(x @ w["dense.weight"].T + w["dense.bias"])
    conv2 = conv(conv(dense, "conv1", 5), "conv2", 3)
    one = gru(conv2, "gru1")
    two = gru(one, "gru2")
    three = gru(two, "gru3")
    last = gru(three, "gain_gru")
    strength = gru(np.hstack([three, conv2]), "strength_gru")
    gains = sigmoid(np.hstack([conv2, one, two, three, last]) @ w["gain.weight"].T + w["gain.bias"])
    strengths = sigmoid(strength @ w["strength.weight"].T + w["strength.bias"])

    found_gains, found_strengths = Network(model).run(x.astype(np.float32))
    np.testing.assert_allclose(found_gains, gains, atol=1e-5)
    np.testing.assert_allclose(found_strengths, strengths, atol=1e-5)
    assert found_gains.dtype == found_strengths.dtype == np.float32


def test_against_torch_modules():
    torch = pytest.importorskip("torch")
    model = random_model(3)
    weights = {name: torch.from_numpy(weight) for name, weight in model.weights.items()}
    x = features(40)

    def gru(signal, name):
        layer = torch.nn.GRU(signal.shape[-1], weights[f"{name}.weight_hh"].shape[1], batch_first=True)
        layer.load_state_dict(
            {f"{kind}_l0": weights[f"{name}.{kind}"] for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
        )
        return layer(signal)[0]

    def conv(signal, name, taps):
        padded = torch.nn.functional.pad(signal.transpose(1, 2), (taps - 1, 0))
        out = torch.nn.functional.conv1d(padded, weights[f"{name}.weight"], weights[f"{name}.bias"])
        return torch.tanh(out).transpose(1, 2)

    def affine(signal, name):
        return torch.nn.functional.linear(signal, weights[f"{name}.weight"], weights[f"{name}.bias"])

    with torch.no_grad():
        dense = torch.tanh(
            torch.nn.functional.linear(torch.from_numpy(x)[None], weights["dense.weight"], weights["dense.bias"])
        )
        conv2 = conv(conv(dense, "conv1", 5), "conv2", 3)
        one = gru(conv2, "gru1")
        two = gru(one, "gru2")
        three = gru(two, "gru3")
        last = gru(three, "gain_gru")
        strength = gru(torch.cat([three, conv2], -1), "strength_gru")
        skips = torch.cat([conv2, one, two, three, last], -1)
        gains = torch.sigmoid(affine(skips, "gain"))
        strengths = torch.sigmoid(affine(strength, "strength"))

    found_gains, found_strengths = Network(model).run(x)
    np.testing.assert_allclose(found_gains, gains[0].numpy(), atol=1e-5)
    np.testing.assert_allclose(found_strengths, strengths[0].numpy(), atol=1e-5)


def test_causal():
    network = Network(random_model())
    x = features(20)
    before, _ = network.run(x)
    x[10:] = 0
    after, _ = network.run(x)
    np.testing.assert_array_equal(before[:10], after[:10])
    assert np.abs(before[10:] - after[10:]).max() > 1e-4


def test_state_is_all_that_is_kept():
    network = Network(random_model())
    x = features(9)
    whole, _ = network.run(x)
    state, other = network.initial_state(), network.initial_state()
    for t, frame in enumerate(x):
        gains, _ = network.step(frame, state)
        network.step(x[0], other)
        np.testing.assert_array_equal(gains, whole[t])


def test_extreme_inputs_stay_finite():
    network = Network(random_model())
    gains, strengths = network.run(np.full((3, PARAMS.features), 1e6, np.float32))
    assert np.isfinite(gains).all()
    assert np.isfinite(strengths).all()


def test_published_size_runs():
    shapes = PRESETS["percepnet"].shapes(SignalParams())
    zeros = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    gains, strengths = Network(Model(SignalParams(), PRESETS["percepnet"], zeros)).run(np.ones((2, 70), np.float32))
    np.testing.assert_array_equal(gains, 0.5)
    np.testing.assert_array_equal(strengths, 0.5)
