"""Models: their files, their layers, and those that come with the package."""

from percepnet.model.file import (
    BLOCK_INPUTS as BLOCK_INPUTS,
)
from percepnet.model.file import (
    BLOCK_OUTPUTS as BLOCK_OUTPUTS,
)
from percepnet.model.file import (
    CONV1_TAPS as CONV1_TAPS,
)
from percepnet.model.file import (
    CONV2_TAPS as CONV2_TAPS,
)
from percepnet.model.file import (
    DEFAULT_MODEL as DEFAULT_MODEL,
)
from percepnet.model.file import (
    FORMAT as FORMAT,
)
from percepnet.model.file import (
    GRU_MATRICES as GRU_MATRICES,
)
from percepnet.model.file import (
    GRUS as GRUS,
)
from percepnet.model.file import (
    PRESETS as PRESETS,
)
from percepnet.model.file import (
    SUFFIX as SUFFIX,
)
from percepnet.model.file import (
    UNITS_MAX as UNITS_MAX,
)
from percepnet.model.file import (
    Architecture as Architecture,
)
from percepnet.model.file import (
    Model as Model,
)
from percepnet.model.file import (
    block_density as block_density,
)
from percepnet.model.file import (
    dequantise as dequantise,
)
from percepnet.model.file import (
    is_quantised as is_quantised,
)
from percepnet.model.file import (
    load_model as load_model,
)
from percepnet.model.file import (
    model_names as model_names,
)
from percepnet.model.file import (
    quantise as quantise,
)
from percepnet.model.file import (
    save_model as save_model,
)
