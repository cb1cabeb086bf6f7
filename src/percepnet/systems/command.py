"""Any program that reads one WAV file and writes another."""

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import soundfile

from percepnet.acoustics.resampling import resampled
from percepnet.arrays import Samples
from percepnet.errors import PercepNetError

COMMAND_TIMEOUT_S = 600


def run_command(words: Sequence[str], rate_hz: int, noisy: Samples) -> Samples:
    """What a command makes of a recording.

    Parameters
    ----------
    words : sequence of str
        With ``{in}`` and ``{out}`` for the files.
    rate_hz : int
        Of the recording and of the file that the command reads; it may write another rate.
    noisy : np.ndarray [shape=(n,)]

    Raises
    ------
    PercepNetError
        If the command fails or writes nothing, with the last line that it said.
    """
    with tempfile.TemporaryDirectory(prefix="percepnet-") as folder:
        files = {"{in}": Path(folder) / "in.wav", "{out}": Path(folder) / "out.wav"}
        soundfile.write(files["{in}"], noisy, rate_hz, subtype="PCM_16")
        command = [str(files.get(word, word)) for word in words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False)
        if done.returncode or not files["{out}"].is_file():
            said = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["and said nothing"]
            raise PercepNetError(f"{words[0]} ended with {done.returncode}, without a result: {said[0][:300]}")
        y, y_rate_hz = soundfile.read(files["{out}"], dtype="float32", always_2d=True)
    return resampled(y[:, 0], y_rate_hz, rate_hz)
