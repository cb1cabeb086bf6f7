"""Models as ONNX graphs, for phones, accelerators and other runtimes: `percepnet export MODEL --onnx DIR`."""

from percepnet.onnx_export.files import FLOAT32 as FLOAT32
from percepnet.onnx_export.files import INT8 as INT8
from percepnet.onnx_export.files import export_onnx as export_onnx
