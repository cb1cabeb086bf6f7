"""A WebRTC call with Opus between two peers in one process, recorded as it arrives and enhanced.

pip install 'percepnet[aiortc]'
python examples/aiortc_call.py examples/clips/noisy/sea_female.flac received.wav enhanced.wav
"""

import asyncio
import sys

import numpy as np
import soundfile
from aiortc import RTCPeerConnection
from aiortc.contrib.media import MediaPlayer, MediaRelay

from percepnet.integrations.aiortc import EnhancedTrack


async def call(path: str, seconds: float) -> tuple[np.ndarray, np.ndarray, EnhancedTrack]:
    """What arrives, without and with enhancement, and the track that did it."""
    sender, receiver = RTCPeerConnection(), RTCPeerConnection()
    arrived = asyncio.get_running_loop().create_future()
    receiver.on("track", arrived.set_result)
    sender.addTrack(MediaPlayer(path).audio)
    await sender.setLocalDescription(await sender.createOffer())
    await receiver.setRemoteDescription(sender.localDescription)
    await receiver.setLocalDescription(await receiver.createAnswer())
    await sender.setRemoteDescription(receiver.localDescription)

    relay, track = MediaRelay(), await arrived
    raw, enhanced = relay.subscribe(track), EnhancedTrack(relay.subscribe(track))
    frames = []
    for _ in range(int(seconds * 50)):  # 20 ms each
        frames.append(await asyncio.gather(raw.recv(), enhanced.recv()))
    sound = [np.concatenate([pair[i].to_ndarray().reshape(-1, 2) for pair in frames]) for i in range(2)]
    latency_s = enhanced.latency_s
    enhanced.stop()
    await sender.close()
    await receiver.close()
    print(f"{len(frames)} frames of 20 ms, enhanced {1000 * latency_s:.0f} ms late")
    return sound[0], sound[1], enhanced


def main() -> None:
    source, received, enhanced = sys.argv[1:4]
    seconds = soundfile.info(source).duration - 0.5
    raw, clean, _ = asyncio.run(call(source, seconds))
    soundfile.write(received, raw, 48000)
    soundfile.write(enhanced, clean, 48000)


if __name__ == "__main__":
    main()
