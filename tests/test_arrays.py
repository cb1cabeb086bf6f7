import numpy as np
import pytest

from percepnet.arrays import check_finite, from_float32, to_float32
from percepnet.errors import AudioError


@pytest.mark.parametrize("dtype", ["<i2", ">i2"])
def test_every_int16_value_survives(dtype: str) -> None:
    x = np.arange(-32768, 32768).astype(dtype)
    inside = to_float32(x)
    assert inside.dtype == np.float32
    assert inside.shape == (1, 65536)
    assert inside.min() == -1.0
    back = from_float32(inside, x)
    assert back.dtype == x.dtype
    np.testing.assert_array_equal(back, x)


def test_int16_is_clamped() -> None:
    y = np.array([[1.0, -1.0, 3.0, -3.0]], dtype=np.float32)
    assert from_float32(y, np.zeros(4, np.int16)).tolist() == [32767, -32768, 32767, -32768]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
@pytest.mark.parametrize("shape", [(5,), (1, 5), (3, 5), (2, 0), (0,)])
def test_dtype_and_axes_come_back(dtype: str, shape: tuple[int, ...]) -> None:
    x = np.full(shape, 0.25, dtype=dtype)
    inside = to_float32(x)
    assert inside.shape == (1 if len(shape) == 1 else shape[0], shape[-1])
    back = from_float32(inside, x)
    assert back.dtype == x.dtype
    np.testing.assert_array_equal(back, x)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64, np.uint16, bool, complex])
def test_other_types_are_refused(dtype: type) -> None:
    with pytest.raises(AudioError, match=r"samples of type \w+: give int16, or floats in \[-1, 1\]"):
        to_float32(np.zeros(4, dtype=dtype))


def test_shapes_that_are_not_audio_are_refused() -> None:
    with pytest.raises(AudioError, match="no channel"):
        to_float32(np.zeros((0, 4)))
    with pytest.raises(AudioError, match="give"):
        to_float32(np.zeros((1, 2, 3)))
    with pytest.raises(AudioError, match="give"):
        to_float32(np.array(0.0))
    with pytest.raises(AudioError, match=r"means 48000 channels.*transpose it \(x.T\)"):
        to_float32(np.zeros((48000, 2)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_no_numbers_are_found(value: float) -> None:
    x = np.zeros((2, 100))
    x[1, 40] = value
    with pytest.raises(AudioError, match=r"NaN or infinity at 1\.400000 s: cut it"):
        check_finite(to_float32(x), start_samples=100, sample_rate_hz=100, advice="cut it")


def test_int16_values_in_floats_are_found() -> None:
    with pytest.raises(AudioError, match=r"a sample of 12000 at 0\.000125 s, far outside \[-1, 1\].*divide"):
        check_finite(to_float32(np.array([0.0, -12000.0])), start_samples=0, sample_rate_hz=8000, advice="")


def test_loud_recordings_are_no_error() -> None:
    check_finite(to_float32(np.array([[10.0], [-20.0]])), start_samples=0, sample_rate_hz=8000, advice="")
    check_finite(np.zeros((2, 0), np.float32), start_samples=0, sample_rate_hz=8000, advice="")
