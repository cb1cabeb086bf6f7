"""Models: networks as tables of layers, their files, and those that come with the package."""

from percepnet.model.file import (
    DEFAULT_MODEL as DEFAULT_MODEL,
)
from percepnet.model.file import (
    SUFFIX as SUFFIX,
)
from percepnet.model.file import (
    WEIGHT_MAX as WEIGHT_MAX,
)
from percepnet.model.file import (
    Model as Model,
)
from percepnet.model.file import (
    backward_model as backward_model,
)
from percepnet.model.file import (
    load_model as load_model,
)
from percepnet.model.file import (
    model_names as model_names,
)
from percepnet.model.file import (
    residual_for as residual_for,
)
from percepnet.model.file import (
    save_model as save_model,
)
from percepnet.model.file import (
    shared_model as shared_model,
)
from percepnet.model.header import (
    FORMAT as FORMAT,
)
from percepnet.model.header import (
    FORMAT_VERSION as FORMAT_VERSION,
)
from percepnet.model.header import (
    architecture_from_json as architecture_from_json,
)
from percepnet.model.header import (
    architecture_to_json as architecture_to_json,
)
from percepnet.model.presets import PRESETS as PRESETS
from percepnet.model.presets import article_network as article_network
from percepnet.model.quantisation import (
    BLOCK_INPUTS as BLOCK_INPUTS,
)
from percepnet.model.quantisation import (
    BLOCK_OUTPUTS as BLOCK_OUTPUTS,
)
from percepnet.model.quantisation import (
    INT8_MAX as INT8_MAX,
)
from percepnet.model.quantisation import (
    block_density as block_density,
)
from percepnet.model.quantisation import (
    dequantise as dequantise,
)
from percepnet.model.quantisation import (
    quantise as quantise,
)
from percepnet.model.table import (
    BANDS as BANDS,
)
from percepnet.model.table import (
    Architecture as Architecture,
)
from percepnet.model.table import (
    Layer as Layer,
)
from percepnet.model.table import (
    Node as Node,
)
from percepnet.reference.layers import FEATURES as FEATURES
from percepnet.reference.layers import KINDS as KINDS
