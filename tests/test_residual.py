"""What suppresses the rest of an echo: definition and core, where it belongs, and what it is trained on."""

import numpy as np
import pytest

import percepnet
from echoes import echo, reduction_db, speech
from models import random_model
from percepnet import native, native_analysis
from percepnet.acoustics.echoes import EchoConfig, EchoMixer, far_mixing, loudspeaker
from percepnet.acoustics.mixing import MixingConfig, Mixture
from percepnet.errors import ModelError, PercepNetError
from percepnet.model import Model, residual_for
from percepnet.params import ECHO_FEATURES, ERB_EDGES_48, SignalParams
from percepnet.reference.bands import bands_of
from percepnet.reference.echo_residual import ResidualSuppressor, is_residual, residual_features
from percepnet.reference.stream import Stream as Definition
from voices import RATE_HZ, noise

PARAMS = SignalParams(2, feature_blocks=("band_levels", *ECHO_FEATURES))
MODEL, RESIDUAL = random_model(1), random_model(2, PARAMS, "residual")
TALKER, OTHER = "sea_female", "helicopter_male"


def in_single_precision(model: Model) -> Model:
    return Model(model.params, model.architecture.in_single_precision(), model.weights)


@pytest.mark.parametrize("rate_hz", [16000, 48000])
@pytest.mark.parametrize("link", [True, False])
def test_core_is_the_definition(core, rate_hz, link):
    far = speech(TALKER, 1.5)[: rate_hz * 3 // 2]
    # with noise of seed 2 two pitches of a hop are so close that rounding decides between them
    near = np.stack([echo(far, 1), 0.3 * echo(far, 2)]) + noise(3, len(far), 0.01).astype(np.float32)
    residual = in_single_precision(RESIDUAL)
    settings = {"link_channels": link, "far_end": True}
    with_it = Definition(MODEL, rate_hz, 2, residual=residual, **settings)
    without = Definition(MODEL, rate_hz, 2, **settings).process(near, far[None])
    found = native.Stream(MODEL, rate_hz, 2, residual=residual, exact=True, **settings)
    y, z = (stream.process(near, far[None]) for stream in (with_it, found))
    assert np.sqrt(np.mean((y - without) ** 2)) > 0.1 * np.sqrt(np.mean(without**2)), "it does something"
    assert np.sqrt(np.mean((y - z) ** 2)) < 1e-3 * np.sqrt(np.mean(y**2))


def test_echo_alone_is_turned_down_further_and_a_talker_is_not():
    suppressor = ResidualSuppressor(RESIDUAL)
    quiet, spoken = np.full(34, 0.09, np.float32), np.full(34, 0.8, np.float32)
    factors = [suppressor._alone(quiet) for _ in range(200)]
    assert factors[0] == 1
    assert np.all(np.diff(factors) <= 0)
    assert factors[-1] == pytest.approx((0.09 / 0.42) ** 8, rel=1e-4)
    assert suppressor._alone(spoken) == 1  # at once
    assert [suppressor._alone(quiet) for _ in range(20)] == [1] * 20  # and in a pause


def test_long_calls_are_as_short_ones(core):
    far = speech(TALKER, 2.0)
    near = echo(far, 1)[None] + noise(3, len(far), 0.01).astype(np.float32)
    whole = native.Stream(MODEL, far_end=True, residual=RESIDUAL).process(near, far[None])
    short = native.Stream(MODEL, far_end=True, residual=RESIDUAL)
    starts = range(0, near.shape[1], 700)
    parts = [short.process(near[:, i : i + 700], far[None, i : i + 700]) for i in starts]
    assert np.concatenate(parts, axis=1).tobytes() == whole.tobytes()


def test_after_the_far_end_has_gone_it_has_gone_too(core):
    """And comes back as at the beginning."""
    suppressor = ResidualSuppressor(in_single_precision(RESIDUAL))
    hops = noise(4, 480 * 4, 0.1).astype(np.float32).reshape(4, 1, 480)
    first = [suppressor.push(hop, 0.1 * hop, hop[0]) for hop in hops]
    suppressor.reset()
    again = [suppressor.push(hop, 0.1 * hop, hop[0]) for hop in hops]
    np.testing.assert_array_equal([rest.gains for rest in first], [rest.gains for rest in again])
    near, far = noise(5, 480 * 400, 0.1).astype(np.float32), noise(6, 480 * 400, 0.1).astype(np.float32)
    far[480 * 50 :] = 0
    with_it = native.Stream(MODEL, far_end=True, residual=RESIDUAL).process(near[None], far[None])[0]
    without = native.Stream(MODEL, far_end=True).process(near[None], far[None])[0]
    gone = 480 * (50 + 200 + 4)
    assert with_it[gone:].tobytes() == without[gone:].tobytes()
    assert with_it[: 480 * 60].any()
    assert with_it[: 480 * 60].tobytes() != without[: 480 * 60].tobytes()


def test_what_is_no_such_network_is_refused(core):
    assert is_residual(PARAMS)
    assert not is_residual(SignalParams())
    assert not is_residual(SignalParams(2, feature_blocks=("band_levels", "pitch", "echo_levels")))
    for engine in ("core", "numpy"):
        with pytest.raises(PercepNetError, match=r"it hears what is left of an echo|models of echo are for residual"):
            percepnet.Enhancer(model=RESIDUAL, engine=engine)
    with pytest.raises(PercepNetError, match="residual: models of echo"):
        native.Stream(MODEL, far_end=True, residual=MODEL)
    with pytest.raises(PercepNetError, match="with far_end"):
        native.Stream(MODEL, residual=RESIDUAL)
    with pytest.raises(ModelError, match="residual: expected features of"):
        Definition(MODEL, far_end=True, residual=MODEL)
    with pytest.raises(PercepNetError, match="features"):
        native_analysis.Analysis(PARAMS)


def test_a_model_that_looks_ahead_otherwise_goes_without():
    assert residual_for(random_model(params=SignalParams(1))) is None
    assert is_residual(residual_for(MODEL).params)


def test_models_of_other_bands_go_without(core):
    """What was taken out of the bands of one network says nothing of those of another."""
    far = speech(TALKER, 1.0)
    model = random_model(params=SignalParams(2, ERB_EDGES_48))
    assert residual_for(model) is None
    with pytest.raises(PercepNetError, match="the same look-ahead and bands"):
        native.Stream(model, far_end=True, residual=RESIDUAL)
    with percepnet.Enhancer(model=model, far_end=True) as enhancer:
        assert np.isfinite(enhancer.process(echo(far), far)).all()


@pytest.mark.parametrize("name", ["default", "small"])
def test_it_takes_more_of_the_echo_and_leaves_the_talker(core, name):
    """A loudspeaker that distorts, which the linear canceller cannot follow."""
    far, talker = speech(OTHER, 8.0), speech(TALKER, 8.0)
    played = loudspeaker(np.random.default_rng(6), 4 * far)
    heard = echo(0.3 * played / np.abs(played).max())
    model = percepnet.load_model(name)
    y, z = (
        native.Stream(model, far_end=True, residual=residual).process(heard[None], far[None])[0]
        for residual in (residual_for(model), None)
    )
    assert reduction_db(heard, y, 4, 8) > reduction_db(heard, z, 4, 8) + 6
    both = heard + talker
    alone = native.Stream(model).process(talker[None])[0]
    kept = native.Stream(model, far_end=True, residual=residual_for(model)).process(both[None], far[None])[0]
    late = model.params.latency_samples
    clean = talker[:-late]

    def correlation(found):
        part = slice(3 * RATE_HZ, None)
        return np.corrcoef(clean[part], found[late:][part])[0, 1]

    assert correlation(kept) > 0.8 * correlation(alone)


def test_features_are_levels_of_bands_and_how_alike_two_are():
    bands = bands_of(PARAMS.band_edges)
    rng = np.random.default_rng(0)
    spectra = (rng.standard_normal((5, 3, 481)) + 1j * rng.standard_normal((5, 3, 481))).astype(np.complex64)
    spectra[:, 1] = -2 * spectra[:, 0]
    found = residual_features(bands, PARAMS, spectra).reshape(5, 4, 34)
    np.testing.assert_allclose(found[:, 1] - found[:, 0], 20 * np.log10(2) / 30, atol=1e-3)
    np.testing.assert_allclose(found[:, 3], -1, atol=1e-3)


class Still:
    """A mixer of which every mixture is the same speech, and a soft noise."""

    def mixture(self, seed, seconds):
        clean = speech(TALKER if seed[-1] == 8 else OTHER, seconds)
        return Mixture(clean, clean + noise(1, len(clean), 1e-3).astype(np.float32), 24000.0)


def test_scenes_are_what_they_are_said_to_be():
    config = EchoConfig(far_alone_share=0.0, near_alone_share=0.0, unheard_share=0.0, clip_share=0.0)
    one, again = (EchoMixer(Still(), Still(), config).scene([3, 1], 2.0) for _ in range(2))
    for a, b in zip(one, again, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.shape == (2 * RATE_HZ,)
        assert np.isfinite(a).all()
        assert a.any()
    assert np.abs(one.microphone).max() <= 1
    none = EchoMixer(Still(), Still(), EchoConfig(far_alone_share=0.0, near_alone_share=1.0)).scene([3, 1], 2.0)
    assert not none.far_end.any()
    np.testing.assert_array_equal(none.microphone, none.kept)
    alone = EchoMixer(Still(), Still(), EchoConfig(far_alone_share=1.0, near_alone_share=0.0)).scene([3, 1], 2.0)
    assert np.abs(alone.kept).max() < 0.01 < np.abs(alone.microphone).max()
    assert far_mixing(MixingConfig(), EchoConfig()).low_snr_share == 0


def test_rows_want_what_is_no_echo(core):
    pytest.importorskip("torch", reason="training needs torch: pip install 'percepnet[train]'")
    from percepnet.training.echo_rows import echo_sequence
    from percepnet.training.features import make_shard
    from percepnet.training.rows import RowLayout

    layout = RowLayout(PARAMS)
    none = EchoMixer(Still(), Still(), EchoConfig(far_alone_share=0.0, near_alone_share=1.0))
    rows = echo_sequence(none, PARAMS, [1], 1.0)
    assert rows.shape == (100, layout.count)
    gains = rows[:, layout.gains]
    assert (gains[:2] == -1).all()
    assert (gains[2:] > 0.999).all()
    alone = EchoMixer(Still(), Still(), EchoConfig(1.0, 0.0, unheard_share=0.0, ratio_min_db=0, ratio_max_db=0))
    gains = echo_sequence(alone, PARAMS, [1], 1.0)[:, layout.gains]
    assert np.median(gains[gains >= 0]) < 0.5
    shard = make_shard(none, PARAMS, [0], 2, 0.3)
    assert shard.shape == (2, 30, layout.count)
    assert shard.dtype == np.float16
