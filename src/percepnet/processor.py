"""What everything that enhances a stream is to those that feed it: a file, a sound card, a call."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from percepnet.arrays import AnySamples


@runtime_checkable
class Processor(Protocol):
    """Takes a stream chunk by chunk, and gives it back enhanced, with a constant delay.

    What all calls of `process` and the `flush` at the end return, joined, is `latency_samples` longer than what went
    in, and its sample `n + latency_samples` belongs to sample `n` of the input. How the input was cut into chunks
    changes no bit of it.

    `percepnet.Enhancer` is one, and so is every stream of a `percepnet.Batch`.

    Examples
    --------
    >>> import numpy as np
    >>> import percepnet
    >>> def played_through(processor: percepnet.Processor, chunks):
    ...     parts = [processor.process(chunk) for chunk in chunks]
    ...     return np.concatenate([*parts, processor.flush()])[processor.latency_samples :]
    >>> len(played_through(percepnet.Enhancer(16000), np.zeros((5, 320))))
    1600
    """

    @property
    def latency_samples(self) -> int:
        """Delay of the output, in samples at the stream's rate."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the signals that it listens to. The first is the one that is enhanced; the others go into
        `process` by their names."""

    def process(self, chunk: AnySamples, inputs: Mapping[str, AnySamples] | AnySamples | None = None) -> AnySamples:
        """Add a chunk of any length, and return the samples that are ready.

        Parameters
        ----------
        chunk : np.ndarray [shape=(samples,) or (channels, samples)]
            Floats in [-1, 1] or int16.
        inputs : mapping of str to np.ndarray [shape=(samples,) or (channels, samples)], optional
            The same stretch of time of the other signals in `inputs`; an array is the only other one.

        Returns
        -------
        np.ndarray [shape=(ready,) or (channels, ready)]
            With the dtype and the axes of the chunk.

        Raises
        ------
        AudioError
            For what is no audio; the stream then goes on as if the call had not been.
        PercepNetError
            For inputs that it does not have.
        """

    def flush(self) -> AnySamples:
        """End the stream: return the samples that the delay still holds back, and be ready for another stream.

        Returns
        -------
        np.ndarray [shape=(rest,) or (channels, rest)]
            With the dtype and the axes of the last chunk.
        """

    def reset(self) -> None:
        """Forget the stream so far, and be ready for another."""
