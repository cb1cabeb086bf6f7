"""Make recordings in every container, codec and flag that people have, enhance them, and hold lengths against FFmpeg's.

    python scripts/media_variants.py [--work FOLDER] [--table docs/formats.md]

Needs the programs ffmpeg and ffprobe, and percepnet[media]. Prints a table; with --table it goes into a Markdown
file below its marker. Exit code 1 if a length differs by more than a frame of the codec.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

SECONDS, RATE_HZ = 3.3, 48000
MARKER = "<!-- made by scripts/media_variants.py -->"
FRAME_SAMPLES = 2048  # the largest of the codecs here, at the output's rate
STEREO = ["-ac", "2"]
PICTURE = ["-f", "lavfi", "-i", f"testsrc2=size=160x120:rate=25:duration={SECONDS}"]


@dataclass(frozen=True)
class Variant:
    """One recording: a name, and FFmpeg's options after the inputs.

    Attributes
    ----------
    video : bool
        With a moving picture as the second input.
    """

    name: str
    options: tuple[str, ...]
    video: bool = False


# A name, and FFmpeg's options.
RECORDINGS = """
pcm16.wav
pcm24.wav        -c:a pcm_s24le
pcm32.wav        -c:a pcm_s32le
float.wav        -c:a pcm_f32le
u8.wav           -c:a pcm_u8
alaw.wav         -c:a pcm_alaw -ar 8000
mulaw.wav        -c:a pcm_mulaw -ar 8000
ima-adpcm.wav    -c:a adpcm_ima_wav
ms-adpcm.wav     -c:a adpcm_ms
mp3.wav          -c:a libmp3lame
rf64.wav         -rf64 always
bext.wav         -write_bext 1 -metadata time_reference=48000 -metadata description=take
stereo.w64       -ac 2
be.aiff
24.aiff          -c:a pcm_s24be
mulaw.au         -c:a pcm_mulaw -ar 8000
alac.caf         -c:a alac
pcm.caf          -c:a pcm_s16le
16.flac          -c:a flac -sample_fmt s16
24.flac          -c:a flac -sample_fmt s32
96k.flac         -ar 96000
oga.oga          -c:a flac -f ogg
cbr128.mp3       -b:a 128k
cbr320.mp3       -b:a 320k -ac 2
vbr.mp3          -q:a 4 -ac 2
abr.mp3          -abr 1 -b:a 96k
no-xing.mp3      -q:a 4 -write_xing 0
id3v1.mp3        -write_id3v1 1 -metadata title=take
22k.mp3          -ar 22050
8k.mp3           -ar 8000 -b:a 16k
layer2.mp2       -c:a mp2
vorbis.ogg       -c:a libvorbis -ac 2
vorbis-44k.ogg   -c:a libvorbis -ar 44100
opus.opus        -c:a libopus
opus-voip.opus   -c:a libopus -application voip -frame_duration 60 -b:a 16k
opus-2ms.opus    -c:a libopus -frame_duration 2.5
speex.spx        -c:a libspeex -ar 16000
aac.m4a          -c:a aac -ac 2
aac-44k.m4a      -c:a aac -ar 44100
faststart.m4a    -c:a aac -movflags +faststart
fragmented.m4a   -c:a aac -movflags frag_keyframe+empty_moov+default_base_moof -frag_duration 500000
alac.m4a         -c:a alac
adts.aac         -c:a aac
audio.mp4        -c:a aac
quicktime.mov    -c:a aac
pcm.mov          -c:a pcm_s16le
vorbis.webm      -c:a libvorbis
opus.webm        -c:a libopus
flac.mka         -c:a flac
pcm.mkv          -c:a pcm_s16le
opus.mkv         -c:a libopus
v2.wma           -c:a wmav2 -ar 44100
v1.wma           -c:a wmav1 -ar 22050
narrow.amr       -c:a libopencore_amrnb -ar 8000 -b:a 12.2k
phone.3gp        -c:a libopencore_amrnb -ar 8000 -b:a 12.2k
stereo.ac3       -c:a ac3 -ac 2
surround.ac3     -c:a ac3 -ac 6
plus.eac3        -c:a eac3
true.tta         -c:a tta
pack.wv          -c:a wavpack
"""
FILMS = """
film.mp4         -c:v mpeg4 -c:a aac -shortest
film.mov         -c:v mpeg4 -c:a pcm_s16le -shortest
film.mkv         -c:v mpeg4 -c:a ac3 -shortest
film.webm        -c:v libvpx -c:a libopus -b:v 200k -shortest
film.avi         -c:v mpeg4 -c:a libmp3lame -shortest
film.ts          -c:v mpeg2video -c:a mp2 -shortest
film.3gp         -c:v h263 -s 176x144 -c:a aac -ar 16000 -shortest
"""


def variants() -> list[Variant]:
    """What people have."""
    made = []
    for text, video in ((RECORDINGS, False), (FILMS, True)):
        for line in text.strip().splitlines():
            name, *words = line.split()
            made.append(Variant(name, tuple(words), video))
    return made


def sound() -> np.ndarray:
    """A voice-like sound with noise, different at every time."""
    rng = np.random.default_rng(7)
    time_s = np.arange(round(SECONDS * RATE_HZ)) / RATE_HZ
    pitch = np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * time_s)) / RATE_HZ
    voice = sum(np.sin(2 * np.pi * k * pitch) / k for k in range(1, 20)) * (np.sin(2 * np.pi * 2 * time_s) > -0.3)
    return (0.1 * voice + 0.01 * rng.standard_normal(len(time_s))).astype(np.float32)


def make(folder: Path, made: list[Variant]) -> list[Variant]:
    """Write all that this FFmpeg can encode; returns those."""
    source = folder.parent / "source.wav"
    soundfile.write(source, sound(), RATE_HZ, subtype="PCM_24")
    there = []
    for variant in made:
        pictures = [*PICTURE] if variant.video else []
        command = ["ffmpeg", "-v", "error", "-y", "-i", source, *pictures, *variant.options, folder / variant.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode and "libopencore_amrnb" in variant.options:
            telephone(folder / variant.name)
            there.append(variant)
        elif done.returncode:
            reason = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "?"
            print(f"{variant.name}: not made: {reason}", file=sys.stderr)
            (folder / variant.name).unlink(missing_ok=True)
        else:
            there.append(variant)
    return there


def telephone(path: Path) -> None:
    """AMR at 12.2 kb/s where FFmpeg cannot encode it: frames of 20 ms with bits at random, which decode to noise."""
    rng = np.random.default_rng(0)
    plain = path.with_suffix(".amr")
    plain.write_bytes(b"#!AMR\n" + b"".join(b"\x3c" + rng.bytes(31) for _ in range(round(SECONDS / 0.02))))
    if path != plain:
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", plain, "-c", "copy", path], check=True)
        plain.unlink()


def decoded_samples(path: Path) -> int:
    """Samples a channel that FFmpeg decodes."""
    command = ["ffmpeg", "-v", "quiet", "-i", path, "-map", "0:a:0", "-ac", "1", "-f", "s16le", "-"]
    return len(subprocess.run(command, capture_output=True, check=True).stdout) // 2


def row(variant: Variant, source: Path, result: dict | str, target: Path | None) -> tuple[str, bool]:
    """A line of the table, and whether the lengths agree."""
    if isinstance(result, str) or target is None:
        return f"| {variant.name} | – | – | – | {result} |", False
    expected = decoded_samples(source)
    got, back = result["samples"], decoded_samples(target)
    rate_hz = result["sample_rate_hz"]
    probe = [
        "ffprobe",
        "-v",
        "quiet",
        "-select_streams",
        "a:0",
        "-show_entries",
        "stream=sample_rate",
        "-of",
        "csv=p=0",
    ]
    said = subprocess.run([*probe, target], capture_output=True, text=True, check=True).stdout
    out_rate_hz = int(said.split()[0].strip(","))
    scale = rate_hz / out_rate_hz
    fits = abs(got - expected) <= FRAME_SAMPLES and abs(back * scale - got) <= FRAME_SAMPLES * max(1.0, scale)
    notes = "; ".join(result["notes"])
    return f"| {variant.name} | {expected} | {got - expected:+d} | {round(back * scale) - got:+d} | {notes} |", fits


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path)
    parser.add_argument("--table", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        folder = work / "in"
        folder.mkdir(parents=True, exist_ok=True)
        made = make(folder, variants())
        command = [sys.executable, "-m", "percepnet", "enhance", folder, "-o", work / "out", "--json", "--overwrite"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        document = json.loads(done.stdout)
        results = {Path(result["input"]).name: result for result in document["results"]}
        failures = {Path(failure["input"]).name: failure["error"] for failure in document["failures"]}
        rows = []
        for variant in made:
            result = results.get(variant.name)
            target = Path(result["output"]) if result else None
            rows.append(row(variant, folder / variant.name, result or failures.get(variant.name, "not found"), target))
    fits = sum(fit for _, fit in rows)
    head = "| recording | samples by FFmpeg | ours − FFmpeg's | output − ours | notes |\n|---|---|---|---|---|\n"
    table = head + "\n".join(line for line, _ in rows)
    table += f"\n\n{fits} of {len(rows)} agree to a frame of the codec; made with "
    version = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True).stdout.split("\n")[0]
    table += " ".join(version.split()[:3]) + ".\n"
    print(table)
    if options.table:
        text = options.table.read_text(encoding="utf-8")
        options.table.write_text(text.split(MARKER)[0] + MARKER + "\n\n" + table, encoding="utf-8")
    return 0 if fits == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
