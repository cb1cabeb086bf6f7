"""Everything that can be compared: percepnet with its settings, baselines, any command, any ONNX file. One register."""
