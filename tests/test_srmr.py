"""Held to torchmetrics 1.9.0, whose double-precision filters give these numbers for the clips of the repository."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from percepnet.metrics.srmr import speech_to_reverberation_ratio

soxr = pytest.importorskip("soxr", reason="the package soxr is not installed")
pytest.importorskip("gammatone", reason="the package gammatone is not installed")

CLIPS = Path(__file__).parents[1] / "examples" / "clips"


def at_16k(name):
    x, rate_hz = sf.read(CLIPS / f"{name}.flac", dtype="float32")
    return soxr.resample(x, rate_hz, 16_000)


@pytest.mark.parametrize(
    ("name", "expected"), [("clean/sea_female", 10.033351289005779), ("noisy/sea_female", 3.572478311495559)]
)
def test_it_is_that_of_the_reference(name, expected):
    # torchmetrics ends its windows and its analytic signal a little differently
    assert speech_to_reverberation_ratio(at_16k(name)) == pytest.approx(expected, rel=1e-5)


def test_a_room_lowers_it():
    dry = at_16k("clean/sea_female")[:48_000]
    t = np.arange(16_000) / 16_000
    room = np.random.default_rng(0).standard_normal(t.size) * 10 ** (-3 * t / 0.8) * 0.1
    wet = np.fft.irfft(np.fft.rfft(dry, 65_536) * np.fft.rfft(room, 65_536))[: dry.size]
    assert speech_to_reverberation_ratio(wet) < 0.6 * speech_to_reverberation_ratio(dry)
