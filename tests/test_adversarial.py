from copy import deepcopy

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'percepnet[train]'")

from percepnet.errors import PercepNetError
from percepnet.training.adversarial import AdversarialConfig, Adversary, Discriminator, levels
from percepnet.training.distributed import ProcessGroup

SHAPE = (4, 40, 34)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def batch():
    """Speech comes and goes in every band at once; the noise is steady."""
    spoken = (torch.rand(SHAPE[0], SHAPE[1] // 8, 1) > 0.5).repeat_interleave(8, dim=1).float()
    target = 0.05 + 0.9 * spoken.expand(SHAPE)
    energies = 1e-3 * (1.0 + 9.0 * spoken) * (0.5 + torch.rand(SHAPE))
    return target, torch.ones(SHAPE), energies


def loss_of(gains, target):
    return ((gains - target) ** 2).mean()


def test_levels_by_hand():
    energies = torch.tensor([1.0, 100.0, 1e-9]).reshape(1, 1, 3)
    found = levels(energies, torch.tensor([1.0, 0.1, 1.0]), torch.tensor(1.0))
    assert found.flatten().tolist() == pytest.approx([1.0, 1.0, -1.5], abs=1e-4)


def test_levels_have_a_slope_everywhere():
    gains = torch.zeros(SHAPE, requires_grad=True)
    levels(torch.zeros(SHAPE), gains, torch.ones(4, 1, 1)).sum().backward()
    assert torch.isfinite(gains.grad).all()


@pytest.mark.parametrize("shape", [(2, 125, 34), (1, 1, 34), (3, 7, 4)])
def test_judges_sequences_of_any_length(shape):
    *activations, verdicts = Discriminator()(torch.zeros(shape), torch.zeros(shape))
    assert all(layer.shape[0] == shape[0] for layer in activations)
    assert verdicts.shape[:2] == (shape[0], 1)
    assert verdicts.numel() >= shape[0]


def test_as_many_channels_as_were_asked_for():
    layers = Discriminator(channels=4)(torch.zeros(1, 9, 34), torch.zeros(1, 9, 34))
    assert [layer.shape[1] for layer in layers] == [4, 8, 12, 16, 1]
    adversary = Adversary(AdversarialConfig(share=1.0, channels=4))
    assert adversary.discriminator(torch.zeros(1, 9, 34), torch.zeros(1, 9, 34))[0].shape[1] == 4
    with pytest.raises(PercepNetError, match="channels is 0; it must be at least 1"):
        AdversarialConfig(channels=0)


def test_learns_to_tell_clean_speech_from_what_is_in_between():
    adversary = Adversary(AdversarialConfig(share=1.0, learning_rate=2e-3, warmup_updates=0))
    for _ in range(60):
        target, mask, energies = batch()
        gains = torch.full(SHAPE, 0.4, requires_grad=True)
        adversary.judge(loss_of(gains, target), gains, target, mask, energies)
    assert adversary.verdicts["clean"] > 0.8
    assert adversary.verdicts["enhanced"] < 0.2


def test_what_it_adds_leads_towards_clean_speech():
    adversary = Adversary(AdversarialConfig(share=1.0, learning_rate=2e-3, warmup_updates=0))
    target, mask, energies = batch()
    gains = torch.full(SHAPE, 0.4, requires_grad=True)
    optimiser = torch.optim.Adam([gains], 0.01)
    before = loss_of(gains, target).item()
    for _ in range(100):
        optimiser.zero_grad()
        # the loss itself leads nowhere, but is not flat: what is added is measured by its slope
        adversary.judge((gains * torch.randn(SHAPE)).mean(), gains, target, mask, energies).backward()
        optimiser.step()
        gains.data.clamp_(0, 1)
    assert loss_of(gains, target).item() < before / 2


@pytest.mark.parametrize("share", [0.25, 2.0])
def test_its_gradient_is_that_share_of_the_others(share):
    adversary = Adversary(AdversarialConfig(share=share, warmup_updates=0))
    target, mask, energies = batch()
    gains = torch.full(SHAPE, 0.4, requires_grad=True)
    loss = loss_of(gains, target)
    added = adversary.judge(loss, gains, target, mask, energies)
    (own,) = torch.autograd.grad(loss, gains)
    (others,) = torch.autograd.grad(added, gains)
    assert others.norm().item() == pytest.approx(share * own.norm().item(), rel=1e-4)


def test_says_nothing_before_it_has_learned():
    adversary = Adversary(AdversarialConfig(share=1.0, warmup_updates=2))
    target, mask, energies = batch()
    added = []
    for _ in range(3):
        gains = torch.full(SHAPE, 0.4, requires_grad=True)
        added.append(adversary.judge(loss_of(gains, target), gains, target, mask, energies))
    assert [bool(each.requires_grad) for each in added] == [False, False, True]
    assert added[0].item() == 0.0


def test_bands_that_are_not_known_get_no_gradient():
    adversary = Adversary(AdversarialConfig(share=1.0, warmup_updates=0))
    target, mask, energies = batch()
    mask[..., 20:] = 0.0
    gains = torch.full(SHAPE, 0.4, requires_grad=True)
    loss = ((gains - target) ** 2 * mask).mean()
    adversary.judge(loss, gains, target, mask, energies).backward()
    assert gains.grad[..., :20].abs().max() > 0
    assert gains.grad[..., 20:].abs().max() == 0


@pytest.mark.parametrize("energy", [0.0, 1e-30])
def test_silence_is_no_trouble(energy):
    adversary = Adversary(AdversarialConfig(share=1.0, warmup_updates=0))
    target, mask, _ = batch()
    gains = torch.full(SHAPE, 0.4, requires_grad=True)
    adversary.judge(loss_of(gains, target), gains, target, mask, torch.full(SHAPE, energy)).backward()
    assert torch.isfinite(gains.grad).all()
    assert all(torch.isfinite(weight).all() for weight in adversary.discriminator.state_dict().values())


def test_goes_on_where_it_was():
    def judged(adversary, count):
        for _ in range(count):
            target, mask, energies = batch()
            gains = torch.full(SHAPE, 0.4, requires_grad=True)
            added = adversary.judge(loss_of(gains, target), gains, target, mask, energies)
        return added.item()

    config = AdversarialConfig(share=1.0, warmup_updates=1)
    first = Adversary(config)
    judged(first, 3)
    second = Adversary(config)
    second.load_state_dict(deepcopy(first.state_dict()))  # from a file they would be others, too
    torch.manual_seed(1)
    expected = judged(first, 3)
    torch.manual_seed(1)
    assert judged(second, 3) == expected
    assert second.updates == first.updates == 6


def test_alone_its_gradients_are_its_own():
    layer = torch.nn.Linear(2, 1)
    layer(torch.ones(1, 2)).sum().backward()
    ProcessGroup().average(layer)
    assert layer.weight.grad.tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize("setting", [{"share": -1.0}, {"matching": float("nan")}, {"warmup_updates": -1}])
def test_mistakes(setting):
    with pytest.raises(PercepNetError, match=next(iter(setting))):
        AdversarialConfig(**setting)
