"""Models in the C core, each loaded once for all streams."""

import ctypes
import threading
import weakref

from percepnet.errors import ModelError, PercepNetError
from percepnet.model import Model
from percepnet.native_library import Error, ModelInfo, kernels, library


class CoreModel:
    """A model in the core, for all its streams."""

    def __init__(self, model: Model, exact: bool, kernel: str | None) -> None:
        core = library()
        if kernel is not None and kernel not in kernels():
            raise PercepNetError(f"kernel is {kernel!r}: this machine has {', '.join(kernels())}")
        data, error = model.to_bytes(exact), Error()
        name = None if kernel is None else kernel.encode()
        self.handle = core.percepnet_model_load_for(data, len(data), name, ctypes.byref(error))
        if not self.handle:
            raise ModelError(str(error))
        weakref.finalize(self, core.percepnet_model_destroy, self.handle)

    @property
    def memory_bytes(self) -> int:
        """Of the weights and tables."""
        info = ModelInfo()
        library().percepnet_model_describe(self.handle, ctypes.byref(info))
        return info.bytes


# what the core has made of a model lives as long as the model, so that streams that come and go load it once
_models: weakref.WeakKeyDictionary[Model, dict[tuple[bool, str | None], CoreModel]] = weakref.WeakKeyDictionary()
_models_lock = threading.Lock()


def core_model(model: Model, exact: bool, kernel: str | None) -> CoreModel:
    """What the core makes of a model, once; arguments as of `percepnet.native.Stream`."""
    with _models_lock:
        made = _models.setdefault(model, {})
        if (exact, kernel) not in made:
            made[exact, kernel] = CoreModel(model, exact, kernel)
        return made[exact, kernel]
