"""Real-time, full-band suppression of noise and reverberation in speech.

>>> import percepnet
>>> y = percepnet.enhance(x, 48000)  # doctest: +SKIP
"""

from percepnet.batch import Batch
from percepnet.beamforming import Beamformer, beamform
from percepnet.errors import AudioError, ModelError, PercepNetError
from percepnet.model import Model, load_model
from percepnet.processor import Processor
from percepnet.stream import Enhancer, enhance

__version__ = "0.1.0"
__all__ = [
    "AudioError",
    "Batch",
    "Beamformer",
    "Enhancer",
    "Model",
    "ModelError",
    "PercepNetError",
    "Processor",
    "beamform",
    "enhance",
    "load_model",
]
