"""The loss on the enhanced sound, and its gradients."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from percepnet.params import HOP_SAMPLES, SignalParams
from percepnet.training.signal.analysis import analyse
from percepnet.training.signal_loss import SignalLossWeights, Spectra, signal_loss, sound_loss
from voices import glide

PARAMS = SignalParams()
WEIGHTS = SignalLossWeights(1.0)
FRAMES = 60


@pytest.fixture(scope="module")
def spectra():
    rng = np.random.default_rng(0)
    clean = glide(3, 1.0)[0][None, : FRAMES * HOP_SAMPLES].astype(np.float32)
    noisy = clean + 0.02 * rng.standard_normal(clean.shape).astype(np.float32)
    found, _ = analyse(PARAMS, torch.from_numpy(noisy))
    target, _ = analyse(PARAMS, torch.from_numpy(clean), None, found.tap_delays)
    return Spectra(found.noisy, found.comb, target.noisy)


def decisions(gain: float, strength: float = 0.0):
    shape = (1, FRAMES, PARAMS.bands)
    return (torch.full(shape, value, requires_grad=True) for value in (gain, strength))


def loss_of(gains, strengths, spectra, known=None, weights=WEIGHTS):
    known = torch.ones_like(gains) if known is None else known
    return signal_loss(gains, strengths, spectra, known, PARAMS, weights)


def test_clean_speech_that_is_left_alone_costs_nothing(spectra):
    gains, strengths = decisions(1.0)
    same = spectra._replace(noisy=spectra.clean)
    assert loss_of(gains, strengths, same).item() < 1e-6
    assert loss_of(gains, strengths, spectra).item() > 0.01


def test_gradients_are_those_of_small_steps(spectra):
    gains, strengths = decisions(0.7, 0.4)
    loss_of(gains, strengths, spectra).backward()
    rng = torch.Generator().manual_seed(1)
    for values in (gains, strengths):
        assert values.grad.isfinite().all()
        direction = torch.randn(values.shape, generator=rng)
        step = 2e-3 * direction
        sides = []
        for sign in (1, -1):
            moved = [(other + sign * step if other is values else other).detach() for other in (gains, strengths)]
            sides.append(loss_of(*moved, spectra).item())
        slope = (values.grad * step).sum().item()
        assert slope == pytest.approx((sides[0] - sides[1]) / 2, rel=0.05, abs=2e-6)


def test_gradients_are_finite_where_everything_is_silent_or_cancelled(spectra):
    nothing = torch.zeros_like(spectra.noisy)
    cancelled, no_speech = spectra._replace(comb=-spectra.noisy), spectra._replace(clean=nothing)
    for some in (Spectra(nothing, nothing, nothing), cancelled, no_speech):
        for strength in (0.0, 0.5, 1.0):
            gains, strengths = decisions(0.0, strength)
            loss = loss_of(gains, strengths, some)
            loss.backward()
            assert loss.isfinite()
            assert gains.grad.isfinite().all()
            assert strengths.grad.isfinite().all()


def test_missing_speech_costs_more_than_noise_that_is_left():
    rng = torch.Generator().manual_seed(2)
    target = torch.randn(1, 9600, generator=rng)
    bias = SignalLossWeights(1.0, removed=4.0, complex_share=0.0)
    less, more = (sound_loss(factor * target, target, target, bias).item() for factor in (0.5, 2.0))
    even = SignalLossWeights(1.0, removed=1.0, complex_share=0.0)
    less_even, more_even = (sound_loss(factor * target, target, target, even).item() for factor in (0.5, 2.0))
    assert less == pytest.approx(4 * less_even, rel=1e-3)
    assert more == pytest.approx(more_even, rel=1e-3)


def test_it_does_not_depend_on_level(spectra):
    gains, strengths = decisions(0.6, 0.3)
    quiet = Spectra(*(0.01 * spectrum for spectrum in spectra))
    assert loss_of(gains, strengths, quiet).item() == pytest.approx(loss_of(gains, strengths, spectra).item(), rel=1e-3)


def test_bands_that_are_not_known_do_not_count(spectra):
    known = torch.ones(1, FRAMES, PARAMS.bands)
    known[..., 20:] = 0
    gains, strengths = decisions(0.5)
    loss_of(gains, strengths, spectra, known).backward()
    assert (gains.grad[..., 22:] == 0).all()
    assert (gains.grad[..., :18] != 0).any()
