"""The signal path for a batch of recordings on any device of PyTorch: what makes training examples from waveforms.

The same boxes under the same names as in `percepnet.reference`, which defines them and which tests hold these to.
Tensors have an axis for recordings in front, all of one channel.
"""
