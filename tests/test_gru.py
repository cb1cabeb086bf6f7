import pytest

torch = pytest.importorskip("torch")

from percepnet.training.gru import gru

BATCH, FRAMES, INPUTS, UNITS = 5, 40, 20, 32


def outcomes(dtype, bfloat16, *, frozen=False):
    """Of torch's and of ours: states, the last of them, and gradients of everything that has one."""
    torch.manual_seed(0)
    theirs = torch.nn.GRU(INPUTS, UNITS, batch_first=True).to(dtype).requires_grad_(not frozen)
    x, before = torch.randn(BATCH, FRAMES, INPUTS).to(dtype), torch.randn(BATCH, UNITS).to(dtype)
    weight = torch.randn(BATCH, FRAMES, UNITS).to(dtype)
    x.requires_grad_(), before.requires_grad_()
    wanted = [x, before, *(() if frozen else theirs.parameters())]
    for run in (lambda: theirs(x, before[None]), lambda: gru(x, before, *theirs.all_weights[0])):
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            states, after = run()
        after = after.view(BATCH, UNITS)
        loss = (states.to(dtype) * weight).sum() + after.to(dtype).square().sum()
        yield [part.detach() for part in (states, after, *torch.autograd.grad(loss, wanted))]


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize(("dtype", "relative"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_states_and_gradients_are_those_of_torch(dtype, relative, frozen):
    for expected, found in zip(*outcomes(dtype, bfloat16=False, frozen=frozen), strict=True):
        assert found.dtype == dtype
        torch.testing.assert_close(found, expected, rtol=relative, atol=relative * float(expected.abs().max()))


def test_products_in_bfloat16():
    """States stay in single precision; torch rounds them, too."""
    exact, _ = outcomes(torch.float64, bfloat16=False)
    theirs, ours = outcomes(torch.float32, bfloat16=True)
    for place, (expected, rounded, found) in enumerate(zip(exact, theirs, ours, strict=True)):
        scale = float(expected.abs().max())
        error = float((found - expected).abs().max()) / scale
        assert error < 0.02, place
        assert error < 1.5 * float((rounded - expected).abs().max()) / scale, place


def test_one_frame_and_one_sequence():
    layer = torch.nn.GRU(3, 4, batch_first=True)
    x, before = torch.randn(1, 1, 3), torch.randn(1, 4)
    expected, _ = layer(x, before[None])
    states, after = gru(x, before, *layer.all_weights[0])
    torch.testing.assert_close(states, expected)
    torch.testing.assert_close(after, expected[:, 0])


def test_without_packed_products(monkeypatch):
    """Where torch has no oneDNN."""

    def missing(*_):
        raise AttributeError

    _, packed = outcomes(torch.float32, bfloat16=False)
    monkeypatch.setattr("percepnet.training.gru.pack", missing)
    _, plain = outcomes(torch.float32, bfloat16=False)
    for found, other in zip(packed, plain, strict=True):
        torch.testing.assert_close(found, other, rtol=1e-4, atol=1e-5)
