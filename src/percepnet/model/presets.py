"""Networks by name: the article's, smaller ones of its shape, and ones of gated linear recurrences."""

from collections.abc import Mapping

from percepnet.model.table import BANDS, Architecture, Layer

CONV1_TAPS = 5  # P21: convolutions over 5 and then 3 frames
CONV2_TAPS = 3


def article_network(
    dense: int = 128, conv1: int = 512, conv2: int = 512, gru: int = 512, strength_gru: int = 128
) -> Architecture:
    """The network of the article: convolutions, three GRUs and one for the gains, and one for the strengths beside it.

    features -> dense -> conv1 -> conv2 -> gru1 -> gru2 -> gru3 -> gain_gru -> gains
                                   |        |       |      |         |           ^
                                   +--------+-------+------+---------+--- skips -+
                                   +--- and gru3 -> strength_gru -> strengths

    Both convolutions look only back in time; the look-ahead is in the features. The first layer sees features of any
    scale, and is not in 8 bits; nor are the last ones, while they are trained. Shipped models have that of gains in
    8 bits too (`Architecture.in_8_bits`).

    Parameters
    ----------
    dense, conv1, conv2, gru, strength_gru : int
        Units, 1 to 4096. The default is the published size, 8 million weights (P20 through three agreeing
        re-implementations). `gru` is the size of the three stacked GRUs and of the gain GRU.

    Returns
    -------
    Architecture
    """
    return Architecture(
        (
            Layer("dense", "dense", ("features",), dense, "tanh"),
            Layer("conv1", "convolution", ("dense",), conv1, "tanh", "int8", CONV1_TAPS),
            Layer("conv2", "convolution", ("conv1",), conv2, "tanh", "int8", CONV2_TAPS),
            Layer("gru1", "gru", ("conv2",), gru, precision="int8"),
            Layer("gru2", "gru", ("gru1",), gru, precision="int8"),
            Layer("gru3", "gru", ("gru2",), gru, precision="int8"),
            Layer("gain_gru", "gru", ("gru3",), gru, precision="int8"),
            Layer("strength_input", "concatenation", ("gru3", "conv2")),
            Layer("strength_gru", "gru", ("strength_input",), strength_gru, precision="int8"),
            Layer("skips", "concatenation", ("conv2", "gru1", "gru2", "gru3", "gain_gru")),
            Layer("gain", "dense", ("skips",), BANDS, "sigmoid"),
            Layer("strength", "dense", ("strength_gru",), BANDS, "sigmoid"),
        )
    )


def gated_network(width: int = 192, blocks: int = 4, dense: int = 128, hidden: int = 288) -> Architecture:
    """Gated linear recurrences with residuals and normalisation: half the weights of a GRU, and trained in parallel.

    features -> dense -> conv1 -> conv2 -> blocks -> gains, strengths, speech probability

    A block is a recurrence and then two dense layers, each pair behind a normalisation and beside a residual. What the
    normalisations give is limited to [-1, 1] by the 8 bits of the matrices behind them.

    Parameters
    ----------
    width : int
        Units of the convolutions and of the blocks.
    blocks : int
    dense, hidden : int
        Units of the first layer, and between the two dense layers of a block.

    Returns
    -------
    Architecture
    """
    layers = [
        Layer("dense", "dense", ("features",), dense, "tanh"),
        Layer("conv1", "convolution", ("dense",), width, "tanh", "int8", CONV1_TAPS),
        Layer("conv2", "convolution", ("conv1",), width, "tanh", "int8", CONV2_TAPS),
    ]
    last = "conv2"
    for number in range(1, blocks + 1):
        norm, memory, recalled, mixed = (f"{part}{number}" for part in ("norm", "memory", "recalled", "mixed"))
        norm_wide, wide, narrow, block = (f"{part}{number}" for part in ("norm_wide", "wide", "narrow", "block"))
        layers += [
            Layer(norm, "normalisation", (last,)),
            Layer(memory, "gated_recurrence", (norm,), width, precision="int8"),
            Layer(recalled, "dense", (memory,), width, precision="int8"),
            Layer(mixed, "sum", (last, recalled)),
            Layer(norm_wide, "normalisation", (mixed,)),
            Layer(wide, "dense", (norm_wide,), hidden, "relu", "int8"),
            Layer(narrow, "dense", (wide,), width, precision="int8"),
            Layer(block, "sum", (mixed, narrow)),
        ]
        last = block
    layers += [
        Layer("gain", "dense", (last,), BANDS, "sigmoid"),
        Layer("strength", "dense", (last,), BANDS, "sigmoid"),
        Layer("speech", "dense", (last,), 1, "sigmoid"),
    ]
    return Architecture(tuple(layers), {"gains": "gain", "strengths": "strength", "speech": "speech"})


def residual_network(width: int = 112, blocks: int = 3) -> Architecture:
    """What suppresses the rest of an echo: gains of gated linear recurrences, and nothing else.

    There is no comb filter in it: what a file calls strengths are the gains once more.

    Parameters
    ----------
    width, blocks : int
        As of `gated_network`.

    Returns
    -------
    Architecture
    """
    whole = gated_network(width=width, blocks=blocks, dense=width, hidden=width * 3 // 2)
    layers = tuple(layer for layer in whole.layers if layer.name not in ("strength", "speech"))
    return Architecture(layers, {"gains": "gain", "strengths": "gain"})


def with_speech(architecture: Architecture) -> Architecture:
    """A network that also says how probable speech is, from what its gains are made of; the article's does not.

    Parameters
    ----------
    architecture : Architecture
        Without the head "speech".

    Returns
    -------
    Architecture
    """
    gains = next(layer for layer in architecture.layers if layer.name == architecture.heads["gains"])
    head = Layer("speech", "dense", gains.inputs, 1, "sigmoid")
    return Architecture((*architecture.layers, head), {**architecture.heads, "speech": head.name})


def with_bins(architecture: Architecture, units: int = 16) -> Architecture:
    """A network with a smaller one beside it that corrects the shape of the noise, bin by bin.

    bins -> bin_dense -> bin_memory, beside it -> bin_hidden -> shape

    Parameters
    ----------
    architecture : Architecture
        Without such a one.
    units : int
        Of each of its layers.

    Returns
    -------
    Architecture
    """
    layers = (
        Layer("bin_dense", "dense", ("bins",), units, "relu"),
        Layer("bin_memory", "gated_recurrence", ("bin_dense",), units),
        Layer("bin_both", "concatenation", ("bin_dense", "bin_memory")),
        Layer("bin_hidden", "dense", ("bin_both",), units, "relu"),
        Layer("bin_shape", "dense", ("bin_hidden",), 1),
    )
    return Architecture((*architecture.layers, *layers), {**architecture.heads, "shape": "bin_shape"})


PRESETS: Mapping[str, Architecture] = {
    "percepnet": with_speech(article_network()),
    "default": with_speech(article_network()),
    "medium": with_speech(article_network(dense=96, conv1=128, conv2=384, gru=384)),
    "small": with_speech(article_network(dense=96, conv1=128, conv2=256, gru=192, strength_gru=64)),
    "tiny": article_network(dense=16, conv1=16, conv2=16, gru=16, strength_gru=8),
    "gated": gated_network(),
    "residual": residual_network(),
    "gated_small": gated_network(width=96, dense=96, hidden=144),
}
