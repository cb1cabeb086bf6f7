"""Writes constants.h and tables.c: the constants of the signal path for the C core, from their one home in percepnet.

python core/generate.py
"""

from pathlib import Path

import numpy as np

from percepnet import params
from percepnet.model import table
from percepnet.reference import (
    bands,
    comb,
    drift,
    echo,
    echo_delay,
    echo_emphasis,
    echo_filter,
    echo_past,
    echo_residual,
    echo_shape,
    features,
    gain_control,
    layers,
    mix,
    noise_shape,
    pitch,
    windows,
)

FOLDER = Path(__file__).parent / "src" / "signal"
NOTE = (
    "/* Written by core/generate.py from percepnet.params and percepnet.reference: change those, and run it again. */\n"
)

CONSTANTS: dict[str, int | float] = {
    "SAMPLE_RATE_HZ": params.SAMPLE_RATE_HZ,
    "HOP_SAMPLES": params.HOP_SAMPLES,
    "WINDOW_SAMPLES": params.WINDOW_SAMPLES,
    "BINS": params.BINS,
    "WINDOW_SHIFT_SAMPLES": windows.SHIFT_SAMPLES,
    "LOOKAHEAD_FRAMES_MAX": params.LOOKAHEAD_FRAMES_MAX,
    "PERIOD_MIN_SAMPLES": params.PERIOD_MIN_SAMPLES,
    "PERIOD_MAX_SAMPLES": params.PERIOD_MAX_SAMPLES,
    "UNITS_MAX": table.UNITS_MAX,
    "CONVOLUTION_TAPS_MAX": table.TAPS_MAX,
    "CONVOLUTION_DILATION_MAX": table.DILATION_MAX,
    "LAYER_MEMORY_MAX": table.MEMORY_MAX,
    "NORMALISATION_FLOOR": float(layers.NORMALISATION_FLOOR),
    "HIGHPASS_MAX_HZ": params.HIGHPASS_MAX_HZ,
    "DRIFT_KNOT_SAMPLES": drift.KNOT_SAMPLES,
    "DRIFT_WEIGHTS": drift.WEIGHTS,
    "DRIFT_FUTURE_SAMPLES": drift.FUTURE_SAMPLES,
    "DRIFT_FUTURE_FRAMES": drift.FUTURE_FRAMES,
    "TINY": float(bands.TINY),
    "COMB_TAPS": params.COMB_TAPS,
    "COMB_PHASES": comb.PHASES,
    "COMB_REACH": comb.INTERPOLATOR_REACH,
    "COMB_PAST_SAMPLES": comb.PAST_SAMPLES,
    "COMB_PAST_FRAMES": comb.PAST_FRAMES,
    "PITCH_DECIMATION": pitch.DECIMATION,
    "PITCH_HOP": pitch.HOP,
    "PITCH_LOW_PASS_TAPS": pitch.LOW_PASS_TAPS,
    "PITCH_SEGMENT": pitch.SEGMENT,
    "PITCH_FFT": pitch.FFT,
    "PITCH_BINS": pitch.FFT // 2 + 1,
    "PITCH_OVERSAMPLING": pitch.OVERSAMPLING,
    "PITCH_ENVELOPE_REACH": round(pitch.ENVELOPE_HZ * pitch.FFT / pitch.RATE_HZ),
    "PITCH_WHITENING": pitch.WHITENING,
    "PITCH_FIRST_LAG": pitch._FIRST_LAG,
    "PITCH_LAGS": pitch._LAST_LAG + 1 - pitch._FIRST_LAG,
    "PITCH_STEP_SAMPLES": pitch._STEP_SAMPLES,
    "PITCH_CELLS": pitch.CELLS,
    "PITCH_STEP_CELLS": pitch.STEP_CELLS,
    "PITCH_JUMP_COST": pitch.JUMP_COST,
    "SILENT_PERIOD_SAMPLES": pitch.SILENT_PERIOD_SAMPLES,
    "FEATURE_WINDOW_ENERGY": features._WINDOW_ENERGY,
    "FEATURE_FLOOR": float(features.FLOOR),
    "FEATURE_CENTRE_DB": float(features.CENTRE_DB),
    "FEATURE_SPAN_DB": float(features.SPAN_DB),
    "RELATIVE_BINS": params.RELATIVE_BINS,
    "RELATIVE_RISE_FRAMES": features.RELATIVE_RISE_FRAMES,
    "RELATIVE_FALL_FRAMES": features.RELATIVE_FALL_FRAMES,
    "RELATIVE_FLOOR": float(features.RELATIVE_FLOOR),
    "RELATIVE_SILENCE": float(features.RELATIVE_SILENCE),
    "GAIN_FULL_SCALE": float(gain_control._FULL_SCALE),
    "GAIN_TARGET": float(gain_control.TARGET),
    "GAIN_START": float(gain_control.START),
    "GAIN_PEAK_MIN": float(gain_control.PEAK_MIN),
    "GAIN_HOLD_FRAMES": gain_control.HOLD_FRAMES,
    "GAIN_RELEASE": float(gain_control.RELEASE),
    "GAIN_RELEASE_AT_FIRST": float(gain_control.RELEASE_AT_FIRST),
    "ECHO_EMPHASIS": echo_emphasis.EMPHASIS,
    "ECHO_DC_POLE": echo_emphasis.DC_POLE,
    "ECHO_RETURN_POLE": echo_emphasis.RETURN_POLE,
    "ECHO_DECIMATION": echo_delay.DECIMATION,
    "ECHO_LOW_PASS_TAPS": echo_delay.LOW_PASS_TAPS,
    "ECHO_CYCLE_HOPS": echo_delay.CYCLE_HOPS,
    "ECHO_LAG_HOP": echo_delay.HOP,
    "ECHO_LAG_BLOCK": echo_delay.BLOCK,
    "ECHO_LAG_FFT": echo_delay.FFT,
    "ECHO_LAG_BLOCKS": echo_delay.LAG_BLOCKS,
    "ECHO_FIRST_BIN": echo_delay.FIRST_BIN,
    "ECHO_LAST_BIN": echo_delay.LAST_BIN,
    "ECHO_LAG_FORGETTING": echo_delay.FORGETTING,
    "ECHO_ACTIVE_ENERGY": echo_delay.ACTIVE_ENERGY,
    "ECHO_PEAK_MIN": echo_delay.PEAK_MIN,
    "ECHO_SAME_SAMPLES": echo_delay.SAME_SAMPLES,
    "ECHO_SEEN_MIN": echo_delay.SEEN_MIN,
    "ECHO_BLOCKS": echo_filter.BLOCKS,
    "ECHO_RANGES": len(echo_filter.RANGES),
    "ECHO_PATH": int(echo_filter.IN_FILTER.sum()),
    "ECHO_KEPT": echo_filter.FORGETTING**2,
    "ECHO_STARTING_HOPS": echo_filter.STARTING_HOPS,
    "ECHO_GAIN_SMOOTHING": echo_filter.GAIN_SMOOTHING,
    "ECHO_GAIN_MAX": echo_filter.GAIN_MAX,
    "ECHO_WILD": echo_filter.WILD,
    "ECHO_LOUDER": echo_filter.LOUDER,
    "ECHO_AUDIBLE": echo_filter.AUDIBLE,
    "ECHO_FOUND": echo_filter.FOUND,
    "ECHO_HALF": echo_filter.HALF,
    "ECHO_ERROR_SMOOTHING": echo_filter.ERROR_SMOOTHING,
    "ECHO_FLOOR": echo_filter.FLOOR,
    "ECHO_POWER_SMOOTHING": echo_filter.POWER_SMOOTHING,
    "ECHO_LEAK_RATE": echo_filter.LEAK_RATE,
    "ECHO_LEAK_SHARE": echo_filter.LEAK_SHARE,
    "ECHO_FINE": echo_shape.FINE,
    "ECHO_LONG_SAMPLES": echo_shape.LONG_SAMPLES,
    "ECHO_SHAPED_BINS": echo_shape.SHAPED_BINS,
    "ECHO_LEFT_SMOOTHING": float(echo_shape.LEFT_SMOOTHING),
    "ECHO_DECAY": float(echo_shape.ECHO_DECAY),
    "ECHO_UNKNOWN": float(echo_shape.UNKNOWN),
    "ECHO_MORE": float(echo_shape.MORE),
    "ECHO_LEAST": float(echo_shape.LEAST),
    "ECHO_MOST": float(echo_shape.MOST),
    "ECHO_SILENT": float(echo_shape.SILENT),
    "ECHO_TAKEN_TWICE": float(echo_shape.TAKEN_TWICE),
    "ECHO_ALONE_GAIN": echo_residual.ALONE_GAIN,
    "ECHO_ALONE_EXPONENT": echo_residual.ALONE_EXPONENT,
    "ECHO_ALONE_DECAY": echo_residual.ALONE_DECAY,
    "ECHO_FAST": echo_filter.SMOOTHING[0],
    "ECHO_SLOW": echo_filter.SMOOTHING[1],
    "ECHO_FAST_BETTER": echo_filter.BETTER[0],
    "ECHO_SLOW_BETTER": echo_filter.BETTER[1],
    "ECHO_BETTER_THAN_NONE": echo_filter.BETTER_THAN_NONE,
    "ECHO_WORSE": echo_filter.WORSE,
    "ECHO_WORSE_THAN_NONE": echo_filter.WORSE_THAN_NONE,
    "ECHO_LOUD": echo_filter.LOUD,
    "ECHO_PAST_BLOCKS": echo_past.PAST_BLOCKS,
    "ECHO_PAST_LARGEST": float(echo_past.LARGEST),
    "ECHO_PAST_PEAK_MIN": echo_past.PEAK_MIN,
    "ECHO_DELAY_BLOCKS_MAX": echo_past.DELAY_BLOCKS_MAX,
    "ECHO_QUIET_HOPS": echo.QUIET_HOPS,
    "ECHO_MARGIN_SAMPLES": echo.MARGIN_SAMPLES,
    "ECHO_MARGIN_MIN_SAMPLES": echo.MARGIN_MIN_SAMPLES,
    "ECHO_MARGIN_MAX_SAMPLES": echo.MARGIN_MAX_SAMPLES,
    "RESCALE_MAX": float(mix.RESCALE_MAX),
    "MIX_HEARD_TO_BIN": mix.HEARD_TO_BIN,
    "NOISE_SHAPE_AHEAD_FRAMES": noise_shape.AHEAD_FRAMES,
    "NOISE_SHAPE_BINS": params.SHAPED_BINS,
    "NOISE_SHAPE_SMOOTHING": float(noise_shape.SMOOTHING),
    "NOISE_SHAPE_NOISE_SMOOTHING": float(noise_shape.NOISE_SMOOTHING),
    "NOISE_SHAPE_NOISE_LEAST": float(noise_shape.NOISE_LEAST),
    "NOISE_SHAPE_NOISE_MOST": float(noise_shape.NOISE_MOST),
    "NOISE_SHAPE_LEAST": float(noise_shape.LEAST),
    "NOISE_SHAPE_CORRECTED_LEAST": float(noise_shape.CORRECTED_LEAST),
    "NOISE_SHAPE_CORRECTED_MOST": float(noise_shape.CORRECTED_MOST),
    "NOISE_SHAPE_SILENT": float(noise_shape.SILENT),
    "NOISE_SHAPE_TINY_GAIN": float(noise_shape.TINY_GAIN),
    "BIN_RATIOS": params.BIN_RATIOS,
    "BIN_FEATURES": params.BIN_FEATURES,
    "POSTFILTER_BETA": params.POSTFILTER_BETA,
}


def first_half(window: np.ndarray) -> np.ndarray:
    """What is stored of a symmetric window: a browser fetches all tables."""
    half = window[: len(window) // 2]
    assert np.array_equal(window, np.concatenate((half, half[::-1])))
    return half


_RANGES = np.array(echo_filter.RANGES, np.int16).T  # of the echo's filter: bins from and to, and blocks

TABLES: dict[str, np.ndarray] = {
    "DRIFT_WEIGHT": drift.weights(),
    "COMB_WEIGHTS": comb._WEIGHTS,
    "COMB_INTERPOLATORS": comb._INTERPOLATORS,
    "PITCH_LOW_PASS": pitch._LOW_PASS,
    "PITCH_HALF": first_half(pitch._WINDOW),
    "PITCH_EMPHASIS": pitch._EMPHASIS,
    "PITCH_WINDOW_CORRELATION": pitch._WINDOW_CORRELATION,
    "PITCH_CELL_START": np.append(pitch._CELL_START, pitch._LAST_LAG - 1 - pitch._FIRST_LAG).astype(np.int16),
    "PITCH_CELL_COSTS": pitch._CELL_COST,
    "PITCH_STEP_COSTS": pitch._STEP_COSTS,
    "ECHO_LOW_PASS": echo_delay.LOW_PASS,
    "ECHO_FADE_HALF": first_half(echo_delay.FADE),
    "ECHO_VARIANCES": echo_filter.VARIANCES,
    "ECHO_RANGE_FIRST": _RANGES[0],
    "ECHO_RANGE_BINS": _RANGES[1] - _RANGES[0],
    "ECHO_RANGE_BLOCKS": _RANGES[2],
    "ECHO_RANGE_START": np.append(0, np.cumsum((_RANGES[1] - _RANGES[0]) * _RANGES[2])[:-1]).astype(np.int16),
}

TYPES = {"float32": "float", "int16": "int16_t"}


def literal(value: object) -> str:
    """A constant of C, exact to the bit: floats in single precision."""
    if isinstance(value, (int, np.integer)):
        return str(value)
    digits = f"{float(np.float32(value)):.9g}"
    number = f"{digits}f" if "." in digits or "e" in digits else f"{digits}.0f"
    return f"({number})" if number.startswith("-") else number


def constants_h() -> str:
    """The header: every number by name, and the declarations of the tables."""
    lines = [NOTE, "#ifndef CONSTANTS_H", "#define CONSTANTS_H", "", "#include <stdint.h>", ""]
    lines += [f"#define {name} {literal(value)}" for name, value in CONSTANTS.items()]
    lines += ["", *(f"extern const {declaration(name)};" for name in TABLES)]
    return "\n".join([*lines, "", "#endif", ""])


def tables_c() -> str:
    """The tables themselves."""
    lines = [NOTE, '#include "signal/constants.h"']
    for name, values in TABLES.items():
        numbers = [literal(value) for value in values.ravel()]
        rows = [", ".join(numbers[start : start + 8]) for start in range(0, len(numbers), 8)]
        lines += ["", f"const {declaration(name)} = {{", *(f"    {row}," for row in rows), "};"]
    return "\n".join([*lines, ""])


def declaration(name: str) -> str:
    """A table's type, name and size."""
    table = TABLES[name]
    return f"{TYPES[table.dtype.name]} {name}[{table.size}]"


FILES = {"constants.h": constants_h, "tables.c": tables_c}

if __name__ == "__main__":
    for file, text in FILES.items():
        (FOLDER / file).write_text(text())
