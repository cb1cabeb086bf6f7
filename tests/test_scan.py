import pytest

torch = pytest.importorskip("torch")

from percepnet.training.scan import scan


def step_by_step(decay, addition, state):
    states = []
    for frame in range(decay.shape[1]):
        state = decay[:, frame] * state + addition[:, frame]
        states.append(state)
    return torch.stack(states, dim=1)


def random(frames, dtype=torch.float32):
    generator = torch.Generator().manual_seed(frames)
    decay = torch.rand(2, frames, 5, generator=generator, dtype=dtype)
    addition = torch.randn(2, frames, 5, generator=generator, dtype=dtype)
    state = torch.randn(2, 5, generator=generator, dtype=dtype)
    return decay, addition, state


@pytest.mark.parametrize("frames", [1, 2, 3, 8, 9, 125, 500])
def test_the_same_as_step_by_step(frames):
    parts = random(frames)
    torch.testing.assert_close(scan(*parts), step_by_step(*parts), atol=1e-5, rtol=0)


@pytest.mark.parametrize("frames", [1, 2, 7, 125])
def test_gradients_are_those_of_step_by_step(frames):
    found, expected = (
        torch.autograd.grad((way(*parts) ** 2).sum(), parts)
        for way in (scan, step_by_step)
        for parts in [[part.requires_grad_() for part in random(frames)]]
    )
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_gradients_are_those_of_differences():
    assert torch.autograd.gradcheck(scan, [part.requires_grad_() for part in random(6, torch.float64)])


def test_neither_long_memories_nor_short_ones_overflow():
    """Divided by the products of its decays, as prefix sums would have it, this would be infinite."""
    decay, addition, state = random(500)
    for factor in (0.0, 1e-6, 1.0):
        parts = decay * factor if factor < 1 else torch.ones_like(decay), addition, state
        found = scan(*parts)
        assert found.isfinite().all()
        torch.testing.assert_close(found, step_by_step(*parts), atol=1e-4, rtol=1e-5)
