"""Losses that hear: P.862's disturbance and STOI's agreement against the measures themselves, and their gradients."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from percepnet.training.intelligibility_loss import intelligibility
from percepnet.training.perceptual_loss import disturbance, score
from voices import glide

RATE_HZ = 16_000
NOISE_LEVELS = (0.3, 0.1, 0.03, 0.01, 0.003)


@pytest.fixture(scope="module")
def pairs():
    """Clean voices and noisy ones, at 16 kHz [shape=(5, n)] each."""
    rng = np.random.default_rng(3)
    clean = np.stack([glide(seed, 4.0)[0][::3] for seed in range(len(NOISE_LEVELS))]).astype(np.float32)
    clean *= np.sin(np.linspace(0, 12 * np.pi, clean.shape[1], dtype=np.float32)) ** 2  # syllables
    noise = np.cumsum(rng.standard_normal(clean.shape), axis=1)
    noise = np.diff(noise, axis=1, prepend=0) + 0.05 * (noise - np.roll(noise, 40, axis=1))
    noise *= np.array(NOISE_LEVELS)[:, None] * clean.std(axis=1, keepdims=True) / noise.std(axis=1, keepdims=True)
    return torch.from_numpy(clean), torch.from_numpy((clean + noise).astype(np.float32))


def test_it_scores_as_pesq_does(pairs):
    pesq = pytest.importorskip("pesq").pesq
    clean, noisy = pairs
    ours = score(disturbance(noisy, clean)).numpy()
    theirs = [pesq(RATE_HZ, x, y, "wb") for x, y in zip(clean.numpy(), noisy.numpy(), strict=True)]
    assert np.ptp(theirs) > 1.5
    np.testing.assert_allclose(ours, theirs, atol=0.2)


def test_it_agrees_with_stoi(pairs):
    stoi = pytest.importorskip("pystoi").stoi
    clean, noisy = pairs
    ours = intelligibility(noisy, clean).numpy()
    theirs = [stoi(x, y, RATE_HZ) for x, y in zip(clean.numpy(), noisy.numpy(), strict=True)]
    assert np.ptp(theirs) > 0.1
    np.testing.assert_allclose(ours, theirs, atol=0.05)


@pytest.mark.parametrize("measure", [disturbance, lambda y, x: 1 - intelligibility(y, x)])
def test_the_same_sound_costs_nothing_at_any_level(measure, pairs):
    clean, noisy = pairs
    assert measure(clean, clean).abs().max() < 0.01
    assert measure(0.1 * clean, clean).abs().max() < 0.01
    torch.testing.assert_close(measure(0.1 * noisy, clean), measure(noisy, clean), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("measure", [disturbance, intelligibility])
def test_gradients_are_those_of_small_steps(measure, pairs):
    clean, noisy = (part[:1, :24_000].double() for part in pairs)
    noisy.requires_grad_()
    found = measure(noisy.float(), clean.float()).sum()
    (gradient,) = torch.autograd.grad(found, noisy)
    step = 1e-3 * (clean - noisy).detach()
    sides = [measure((noisy.detach() + sign * step).float(), clean.float()).item() for sign in (1, -1)]
    assert (gradient * step).sum().item() == pytest.approx((sides[0] - sides[1]) / 2, rel=0.1)


@pytest.mark.parametrize("measure", [disturbance, intelligibility])
@pytest.mark.parametrize("kind", ["both", "found", "target"])
def test_silence_is_no_trouble(measure, kind, pairs):
    clean, noisy = (part.clone() for part in pairs)
    if kind != "target":
        noisy.zero_()
    if kind != "found":
        clean.zero_()
    noisy.requires_grad_()
    found = measure(noisy, clean)
    found.sum().backward()
    assert found.isfinite().all()
    assert noisy.grad.isfinite().all()
