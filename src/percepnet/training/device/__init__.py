"""Mixtures made where the network is trained: recordings in a device's memory, and everything else from random numbers.

What is decided about a batch (which recording, which room, how loud) is drawn with NumPy on the host, as arrays of
which each row is a mixture; the sound itself is made by few large operations on the device. The host thus never waits
for the device, and the same code runs on a CPU.
"""
