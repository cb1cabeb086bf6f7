"""The loss by opinion: DNSMOS's own scores, and their gradients."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
dnsmos = pytest.importorskip("speechmos.dnsmos")

from percepnet.params import SignalParams
from percepnet.training.opinion_loss import opinions
from percepnet.training.signal_loss import SignalLossWeights, Spectra, signal_loss
from voices import glide

RATE_HZ = 16_000
SAMPLES = 144_160  # what DNSMOS hears at a time


@pytest.fixture(scope="module")
def sounds():
    """A voice, in less and less noise, at 16 kHz [shape=(3, 144160)]."""
    voice = 0.3 * glide(1, 10.0)[0][::3][:SAMPLES].astype(np.float32)
    noise = np.random.default_rng(2).standard_normal(SAMPLES).astype(np.float32)
    return torch.from_numpy(np.stack([voice + level * noise for level in (0.1, 0.01, 0.001)]))


def test_it_says_what_dnsmos_says(sounds):
    ours = torch.stack(opinions(sounds), dim=-1).numpy()
    theirs = [dnsmos.run(sound, RATE_HZ) for sound in sounds.numpy()]
    theirs = [[scores[f"{part}_mos"] for part in ("sig", "bak", "ovrl")] for scores in theirs]
    assert np.ptp(theirs, axis=0).min() > 0.05
    np.testing.assert_allclose(ours, theirs, atol=2e-3)


def test_gradients_are_those_of_small_steps(sounds):
    sound = sounds[1:2, :24_000].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(opinions(sound).whole.sum(), sound)
    step = 0.01 * sound.detach()  # in other directions the logarithm of what is nearly 0 bends too soon
    sides = [opinions(sound.detach() + sign * step).whole.item() for sign in (1, -1)]
    assert (gradient * step).sum().item() == pytest.approx((sides[0] - sides[1]) / 2, rel=0.1)


def test_in_bfloat16_it_says_nearly_the_same(sounds):
    heard = sounds[:, :48_000].clone().requires_grad_()
    exact, rough = (opinions(heard, products) for products in (torch.float32, torch.bfloat16))
    np.testing.assert_allclose(torch.stack(rough).detach(), torch.stack(exact).detach(), atol=0.02)
    gradients = (torch.autograd.grad(said.whole.sum(), heard)[0] for said in (exact, rough))
    assert torch.cosine_similarity(*gradients).min() > 0.7


def test_silence_is_no_trouble():
    silence = torch.zeros(2, 8_000, requires_grad=True)
    opinions(silence).whole.sum().backward()
    assert silence.grad.isfinite().all()


@pytest.mark.parametrize("opinion", ["opinion", "background"])
def test_gains_learn_by_the_sounds_that_are_asked_about(opinion):
    params = SignalParams()
    bands = len(params.band_edges)
    torch.manual_seed(1)
    clean = torch.randn(2, 100, 481, dtype=torch.complex64) * torch.hann_window(100)[:, None]
    spectra = Spectra(clean + 0.5 * torch.randn_like(clean), clean, clean)
    gains = torch.full((2, 100, bands), 0.5, requires_grad=True)
    known = torch.ones(2, 100, bands)
    weights = SignalLossWeights(opinions=1, **{opinion: 1.0})
    loss = signal_loss(gains, torch.zeros_like(known), spectra, known, params, weights)
    assert 0 < loss < 4
    (gradient,) = torch.autograd.grad(loss, gains)
    assert gradient.isfinite().all()
    assert gradient.abs().sum(dim=(1, 2)).count_nonzero() == 1  # one sound of two is asked about


def test_noise_alone_is_not_asked_about():
    spectra = torch.randn(2, 100, 481, dtype=torch.complex64)
    params = SignalParams()
    known = torch.ones(2, 100, len(params.band_edges))
    weights = SignalLossWeights(opinion=1.0)
    silent = Spectra(spectra, spectra, torch.zeros_like(spectra))
    assert signal_loss(known, torch.zeros_like(known), silent, known, params, weights) == 0
