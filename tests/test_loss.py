import pytest

torch = pytest.importorskip("torch")

from percepnet.training.loss import LossWeights, clearness, gain_loss, loudness_loss, strength_loss, total_loss

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


def test_over_attenuation_moves_the_best_gain_and_leaves_clean_speech_alone():
    target = torch.tensor([[[0.0, 0.25, 1.0]]])
    ones = torch.ones_like(target)
    weights = LossWeights(over_attenuation=1.5)
    wanted = torch.tensor([[[0.0, 0.125, 1.0]]])
    best, gain, _ = total_loss(wanted, ones, target, ones, ones, ones, weights)
    assert best == pytest.approx(0, abs=1e-9)
    assert gain == pytest.approx(0, abs=1e-9)
    assert total_loss(target, ones, target, ones, ones, ones, weights)[0] > 0.01


def test_a_lower_exponent_prefers_less_where_it_is_not_sure():
    """Where speech is as likely as not, the gain that costs least is about 1/4, and 1/10 with half the exponent."""
    gains = torch.linspace(0, 1, 1001)
    ones = torch.ones(1, 1)

    def best(weights):
        costs = [
            gain_loss(gain * ones, ones, ones, weights) + gain_loss(gain * ones, 0 * ones, ones, weights)
            for gain in gains
        ]
        return gains[int(torch.argmin(torch.stack(costs)))].item()

    assert best(LossWeights()) == pytest.approx(0.24, abs=0.02)
    assert best(LossWeights(exponent=0.6)) == best(LossWeights())
    assert best(LossWeights(exponent=0.3)) == pytest.approx(0.10, abs=0.02)


def test_exponent_of_loudness():
    ones = torch.ones(1, 1, 2)
    found = torch.tensor([[[0.5, 1.0]]])
    loss = loudness_loss(found, ones, ones, ones, LossWeights(loudness_exponent=0.2))
    assert loss.item() == pytest.approx((0.501**0.2 - 1.001**0.2) ** 2 / 2, rel=1e-4)


def test_clearness_by_hand():
    """Gains are amplitudes: with sqrt(100 / 101) speech is 20 dB above the rest, half-way from 10 to 30 dB."""
    gains = torch.tensor([1.0, (1e3 / 1001) ** 0.5, (100 / 101) ** 0.5, (10 / 11) ** 0.5, 0.5, 0.0])[:, None, None]
    ones = torch.ones_like(gains)
    found = clearness(gains, ones, 7 * ones)
    assert found.shape == (6, 1, 1)
    assert found.flatten().tolist() == pytest.approx([1, 1, 0.5, 0, 0, 0], abs=1e-4)


def test_clearness_is_of_the_loud_and_the_known():
    gains, energies = torch.tensor([[[1.0, 0.1, 0.0]]]), torch.tensor([[[1e6, 1.0, 1e9]]])
    assert clearness(gains, torch.tensor([[[1.0, 1.0, 0.0]]]), energies) == 1
    assert clearness(gains, torch.ones(1, 1, 3), energies) == 0
    assert clearness(gains, torch.zeros(1, 1, 3), energies).isfinite()
    assert clearness(gains, torch.ones(1, 1, 3), 0 * energies).isfinite()


def test_settings_for_clear_speech():
    """Each sequence of a batch has its own: noisy ones the plain settings, clear ones the others."""
    noisy, clear = torch.tensor([[0.2, 0.3]]), torch.tensor([[0.9999, 1.0]])
    target = torch.stack([noisy, clear])
    found, ones = 0.8 * target, torch.ones(2, 1, 2)
    plain = LossWeights(exponent=0.3, loudness_exponent=0.24, over_attenuation=1.7)
    gentle = LossWeights(exponent=0.6, loudness_exponent=0.46, over_attenuation=1.2)
    both = LossWeights(
        exponent=0.3,
        loudness_exponent=0.24,
        over_attenuation=1.7,
        clear_exponent=0.6,
        clear_loudness_exponent=0.46,
        clear_over_attenuation=1.2,
    )

    def loss(which, weights):
        rows = slice(which, which + 1)
        parts = (x[rows] for x in (found, ones, target, ones, ones, ones))
        return total_loss(*parts, weights)[0].item()

    assert loss(0, both) == pytest.approx(loss(0, plain))
    assert loss(1, both) == pytest.approx(loss(1, gentle))
    assert loss(1, both) != pytest.approx(loss(1, plain), rel=0.05)
    whole = total_loss(found, ones, target, ones, ones, ones, both)[0].item()
    assert whole == pytest.approx((loss(0, both) + loss(1, both)) / 2)


def test_settings_for_clear_speech_are_the_plain_ones_where_none_are_given():
    generator = torch.Generator().manual_seed(1)
    parts = [torch.rand(3, 5, 4, generator=generator) for _ in range(6)]
    plain = LossWeights(exponent=0.3)
    same = LossWeights(exponent=0.3, clear_exponent=0.3, clear_loudness_exponent=0.46, clear_over_attenuation=1.0)
    assert total_loss(*parts, plain)[0].item() == pytest.approx(total_loss(*parts, same)[0].item())
