import numpy as np
import pytest

torch = pytest.importorskip("torch")

from percepnet.reference.layers import KINDS as REFERENCE
from percepnet.reference.layers import NOTHING, Shape
from percepnet.training.layers import KINDS

FRAMES = 40
LAYERS = [
    *(("dense", Shape((6,), 5, activation)) for activation in ("linear", "tanh", "sigmoid", "relu")),
    ("convolution", Shape((6,), 5, "tanh", taps=1)),
    ("convolution", Shape((6,), 5, "relu", taps=5)),
    ("convolution", Shape((6,), 5, "linear", taps=3, dilation=4)),
    ("convolution", Shape((6,), 6, "sigmoid", taps=3, dilation=2, depthwise=True)),
    ("gru", Shape((6,), 5)),
    ("gated_recurrence", Shape((6,), 5)),
    ("normalisation", Shape((6,), 6)),
    ("sum", Shape((6, 6, 6), 6)),
    ("concatenation", Shape((6, 3), 9)),
]
NAMES = [f"{kind}-{number}" for number, (kind, _) in enumerate(LAYERS)]


@pytest.fixture(params=LAYERS, ids=NAMES)
def layer(request):
    """A layer with random weights, what it is in the reference, and its input."""
    kind, shape = request.param
    torch.manual_seed(0)
    module = KINDS[kind](shape)
    module.initialise()
    with torch.no_grad():
        for weight in module.parameters():
            weight.uniform_(-1, 1)
    inputs = [torch.randn(2, FRAMES, units) for units in shape.inputs]
    return module, REFERENCE[kind], shape, inputs


def weights_of(module):
    return {name.removesuffix("_l0"): weight.numpy() for name, weight in module.state_dict().items()}


def before(reference, shape):
    return torch.zeros(2, *reference.state(shape))


def test_every_kind_is_here():
    assert KINDS.keys() == REFERENCE.keys()


def test_weights_have_the_names_and_shapes_of_the_reference(layer):
    module, reference, shape, _ = layer
    expected = {name: tensor.shape for name, tensor in reference.tensors(shape).items()}
    assert {name: weight.shape for name, weight in weights_of(module).items()} == expected


def test_the_same_as_frame_by_frame(layer):
    module, reference, shape, inputs = layer
    with torch.no_grad():
        found, remembered = module.run(inputs, before(reference, shape))
    assert found.shape == (2, FRAMES, shape.units)
    for sequence in range(2):
        weights = reference.prepared(shape, weights_of(module))
        state = np.zeros(reference.state(shape), np.float32) if reference.state(shape) else NOTHING
        for frame in range(FRAMES):
            now = [x[sequence, frame].numpy() for x in inputs]
            expected = reference.step(shape, weights, now, state)
            np.testing.assert_allclose(found[sequence, frame].numpy(), expected, atol=1e-5)
        if reference.state(shape):
            np.testing.assert_allclose(remembered[sequence].numpy(), state, atol=1e-5)


def test_carried_state_continues_the_sequence(layer):
    module, reference, shape, inputs = layer
    with torch.no_grad():
        whole, _ = module.run(inputs, before(reference, shape))
        state, parts = before(reference, shape), []
        for start, end in ((0, 1), (1, 3), (3, 24), (24, FRAMES)):  # the first are shorter than convolutions look back
            part, state = module.run([x[:, start:end] for x in inputs], state)
            parts.append(part)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=0)


def test_gradients_reach_every_weight_and_the_state(layer):
    module, reference, shape, inputs = layer
    state = torch.rand(2, *reference.state(shape)).requires_grad_()
    module.run([x.requires_grad_() for x in inputs], state)[0].square().sum().backward()
    wanted = [*module.parameters(), *inputs, *([state] if reference.state(shape) and state.numel() else [])]
    assert all(leaf.grad is not None and leaf.grad.abs().max() > 0 for leaf in wanted)


def test_what_is_said_to_be_bounded_is(layer):
    module, reference, shape, inputs = layer
    for bounded in (True, False):
        limited = [100 * x.clamp(-0.01, 0.01) if bounded else 100 * x for x in inputs]
        y, _ = module.run(limited, before(reference, shape))
        if module.is_bounded([bounded] * len(inputs)):
            assert y.abs().max() <= 1


def test_a_gru_that_is_not_trained_runs_in_single_precision_and_lets_gradients_through():
    """Under autocast it would convert its weights anew for every frame."""
    torch.manual_seed(0)
    module = KINDS["gru"](Shape((6,), 5))
    x, state = torch.randn(2, FRAMES, 6, requires_grad=True), torch.zeros(2, 5)
    expected, _ = module.run([x], state)
    module.requires_grad_(False)
    with torch.autocast("cpu", torch.bfloat16):
        found, after = module.run([x.to(torch.bfloat16)], state)
        exact, _ = module.run([x], state)
    assert found.dtype == after.dtype == torch.float32
    torch.testing.assert_close(exact, expected)
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0)
    found.sum().backward()
    assert x.grad.abs().sum() > 0


def test_new_gated_recurrences_remember():
    module = KINDS["gated_recurrence"](Shape((6,), 5))
    module.initialise()
    assert (module.bias[:5] == -1).all()
    assert (module.bias[5:] != -1).all()


def test_new_gru_recurrences_are_orthogonal():
    module = KINDS["gru"](Shape((6,), 5))
    module.initialise()
    for gate in module.weight_hh_l0.chunk(3):
        torch.testing.assert_close(gate @ gate.T, torch.eye(5))


def test_a_gated_recurrence_in_bfloat16_keeps_its_state_in_single_precision():
    module = KINDS["gated_recurrence"](Shape((6,), 5))
    x = torch.randn(2, 300, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, _ = module.run([x], torch.zeros(2, 5))
        with torch.autocast("cpu", torch.bfloat16):
            found, state = module.run([x], torch.zeros(2, 5))
    assert found.dtype == state.dtype == torch.float32
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0)
