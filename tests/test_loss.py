import pytest

torch = pytest.importorskip("torch")

from percepnet.training.loss import (
    LossWeights,
    gain_loss,
    left_over,
    loudness_loss,
    strength_loss,
    total_loss,
    unshifted,
)

KINDS = ("P21", "P20")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("found", [0.0, 1.0])
@pytest.mark.parametrize("target", [0.0, 0.3, 1.0])
def test_gradients_are_finite_at_the_ends(kind, found, target):
    gains = torch.full((1, 3, 2), found, requires_grad=True)
    strengths = torch.full((1, 3, 2), found, requires_grad=True)
    wanted = torch.full((1, 3, 2), target)
    ones = torch.ones_like(wanted)
    loss, _, _ = total_loss(gains, strengths, wanted, wanted, ones, ones, LossWeights(kind))
    loss.backward()
    assert torch.isfinite(gains.grad).all()
    assert torch.isfinite(strengths.grad).all()


@pytest.mark.parametrize("kind", KINDS)
def test_zero_at_the_target_and_only_there(kind):
    target = torch.rand(2, 5, 4, generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(target)
    weights = LossWeights(kind)
    assert gain_loss(target, target, mask, weights) == 0
    assert strength_loss(target, target, target, mask, weights) == 0
    assert gain_loss(target * 0.9, target, mask, weights) > 0
    assert strength_loss(target * 0.9, target, target, mask, weights) > 0


def test_values_by_hand():
    one = torch.ones(1, 1)
    # P21: a = (1 + e)^0.6 = 1.0006, b = (0 + e)^0.6 = 0.01585 with e = 0.001; (a - b)^2 / (a + 0.01) = 0.95956
    assert gain_loss(one, 0 * one, one, LossWeights(quartic=0)).item() == pytest.approx(0.95956, abs=2e-5)
    assert gain_loss(one, 0 * one, one, LossWeights(quartic=10)).item() == pytest.approx(
        0.95956 + 10 * 0.95956**2, abs=1e-3
    )
    # P20: a = 1.001^0.5 = 1.0005, b = 0.001^0.5 = 0.031623; difference squared = 0.93872
    assert gain_loss(one, 0 * one, one, LossWeights("P20", quartic=0)).item() == pytest.approx(0.93872, abs=2e-5)
    assert strength_loss(one, 0 * one, one, one).item() == pytest.approx(0.93872, abs=2e-5)


def test_p21_stresses_small_gains():
    """The same error in amplitude costs more where the target is silence than where it is full."""
    one = torch.ones(1)
    leak = gain_loss(0.1 * one, 0 * one, one)
    loss = gain_loss(0.9 * one, one, one)
    assert leak > 5 * loss


def test_masked_bands_do_not_count():
    found = torch.tensor([[[0.2, 0.9]]], requires_grad=True)
    target = torch.tensor([[[0.2, 0.0]]])
    mask = torch.tensor([[[1.0, 0.0]]])
    loss, _, _ = total_loss(found, found, target, target, mask, torch.ones_like(mask))
    loss.backward()
    assert loss == 0
    assert found.grad[0, 0, 1] == 0


def test_nothing_known_is_no_loss():
    zeros = torch.zeros(1, 1, 2)
    loss, _, _ = total_loss(zeros + 0.5, zeros + 0.5, zeros, zeros, zeros, zeros)
    assert loss == 0


def test_loudness_by_hand():
    """Two bands, one of 16 times the energy of the other: its error counts 16^0.46 = 3.58 times as much."""
    energies = torch.tensor([[[16.0, 1.0]]])
    ones = torch.ones_like(energies)
    loud = loudness_loss(torch.tensor([[[0.5, 1.0]]]), ones, ones, energies).item()
    quiet = loudness_loss(torch.tensor([[[1.0, 0.5]]]), ones, ones, energies).item()
    assert loud / quiet == pytest.approx(16**0.46, rel=1e-5)
    # ((0.501)^0.46 - (1.001)^0.46)^2 * 3.58 / mean(3.58, 1) / 2 bands, with the floor of 0.001
    assert loud == pytest.approx((0.501**0.46 - 1.001**0.46) ** 2 * 3.5801 / 2.29005 / 2, rel=1e-4)


def test_loudness_does_not_depend_on_the_level():
    generator = torch.Generator().manual_seed(0)
    found, target, energies = (torch.rand(2, 5, 4, generator=generator) for _ in range(3))
    mask = torch.ones_like(found)
    one, other = (loudness_loss(found, target, mask, scale * energies).item() for scale in (1.0, 1e-6))
    assert one == pytest.approx(other, rel=1e-4)
    assert loudness_loss(found, target, mask, 0 * energies).isfinite()


def test_strengths_in_silence_hardly_count():
    found, target = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 0.0]])
    mask = torch.ones(1, 2)
    silent = strength_loss(found, target, torch.tensor([[0.0, 1.0]]), mask)
    loud = strength_loss(found, target, torch.tensor([[1.0, 0.0]]), mask)
    assert loud > 15 * silent


def test_many_frames_of_silence_do_not_dilute_speech():
    """One wrong frame of speech among silent ones costs much more than its share of the frames."""
    frames = 100
    gain_target = torch.zeros(frames, 1)
    gain_target[0] = 1
    found = torch.zeros(frames, 1)
    found[0] = 1
    loss = strength_loss(found, torch.zeros(frames, 1), gain_target, torch.ones(frames, 1))
    assert loss > 0.1


def test_gains_are_compared_without_their_shifts():
    best = torch.tensor([[[0.2, 0.5, 0.9]]])
    shifted = best.clone()
    shifted[..., 1:] = torch.sigmoid(torch.logit(best[..., 1:]) - 0.8)
    shifts = LossWeights(shifts={"1-2": -0.8}).band_shifts
    torch.testing.assert_close(unshifted(shifted, shifts), best, rtol=1e-4, atol=1e-4)
    assert unshifted(best, {}) is best
    ends = unshifted(torch.tensor([0.0, 1.0]).requires_grad_(), shifts)
    ends.sum().backward()
    assert ends.isfinite().all()


def test_what_is_left_where_there_is_nothing_to_be_kept():
    gains = torch.tensor([[0.0, 1.0, 0.3]])
    assert left_over(gains, torch.tensor([[1.0, 0.0, 0.0]])) < 0.02
    assert left_over(gains, torch.tensor([[0.0, 1.0, 0.0]])) == pytest.approx(1, abs=1e-3)
    assert left_over(gains, torch.zeros(1, 3)) == 0
