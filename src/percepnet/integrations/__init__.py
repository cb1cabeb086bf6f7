"""percepnet in calls and bots: `integrations.aiortc`, `integrations.pipecat` and `integrations.livekit`.

Each is a module of its own that needs its framework, which `pip install 'percepnet[aiortc]'` and so on brings;
`integrations.frames` is what they share, and what an adapter to another framework starts from.
"""

from percepnet.integrations.frames import FrameStream as FrameStream
