// Compiled, not run: the processor is one in LiveKit's own words.
import type { AudioProcessorOptions, Track, TrackProcessor } from "livekit-client";

import { PercepNetTrackProcessor } from "../../src/adapters/livekit.js";
import type { Binaries } from "../../src/index.js";

declare const binaries: Binaries;
export const processor: TrackProcessor<Track.Kind.Audio, AudioProcessorOptions> = new PercepNetTrackProcessor(binaries);
