"""Three windows for each decision."""

import numpy as np
import pytest

from percepnet.params import HOP_SAMPLES, WINDOW_SAMPLES
from percepnet.reference import stft
from percepnet.reference.windows import ALONE, AROUND, SHIFT_SAMPLES, OverlapAdd, frames, overlap_add

STARTS = WINDOW_SAMPLES + HOP_SAMPLES * np.arange(40)


@pytest.mark.parametrize("shifts", [AROUND, ALONE])
def test_windows_add_up_to_the_input(shifts):
    x = np.random.default_rng(0).standard_normal((2, 60 * HOP_SAMPLES)).astype(np.float32)
    y = overlap_add(stft.analysis(frames(x, STARTS, shifts)))
    faded_in = 3 * HOP_SAMPLES
    expected = x[:, STARTS[0] + faded_in :][:, : y.shape[1] - faded_in]
    np.testing.assert_allclose(y[:, faded_in:], expected, atol=1e-5)


def test_nothing_is_given_out_before_all_windows_over_it():
    """What is of a decision is at most as long as its windows reach, and begins with the hop that it completes."""
    one = np.zeros((1, 1), np.complex64) + np.exp(2j * np.pi * np.random.default_rng(1).uniform(size=481))
    out = OverlapAdd(1)
    hops = [out.push(np.stack([one] * len(AROUND)).astype(np.complex64))]
    hops += [out.push(np.zeros((len(AROUND), 1, 481), np.complex64)) for _ in range(3)]
    assert all(hop.any() for hop in hops[:3])
    assert hops[2][:, :SHIFT_SAMPLES].any()
    assert not hops[2][:, SHIFT_SAMPLES:].any()
    assert not hops[3].any()


def test_the_early_window_fades_in_when_the_hop_before_has_ended():
    """What is of one decision alone rises from the hop that it completes on."""
    spectra = np.ones((len(AROUND), 1, 481), np.complex64)  # pulses, at the beginning of each window
    pulse_at = SHIFT_SAMPLES + 5
    spectra = spectra * np.exp(-2j * np.pi * np.arange(481) * pulse_at / WINDOW_SAMPLES)
    hop = OverlapAdd(1).push(spectra)[0]
    early, own, late = (abs(hop[pulse_at + shift]) for shift in AROUND)
    assert early < 1e-3 * own
    assert late == pytest.approx(own, rel=1e-4)
