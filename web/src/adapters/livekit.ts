/** LiveKit's TrackProcessor:

        await track.setProcessor(new PercepNetTrackProcessor(await loadPercepNet({ … })));

    The interface is LiveKit's; nothing of it is needed to build or run this. */

import type { Binaries } from "../binaries.js";
import { PercepNetError } from "../errors.js";
import { ProcessedStream, processStream, StreamOptions } from "../process_stream.js";

export interface LiveKitAudioOptions {
    kind: unknown;
    track: MediaStreamTrack;
    audioContext?: AudioContext;
    element?: HTMLMediaElement;
}

export class PercepNetTrackProcessor {
    readonly name = "percepnet";
    processedTrack?: MediaStreamTrack;
    private processed: ProcessedStream | null = null;
    private far: MediaStream | null = null;

    constructor(
        private readonly binaries: Binaries,
        private options: StreamOptions = {},
    ) {}

    /** The node, for its events, its limit and its delay. */
    get node() {
        return this.processed?.node ?? null;
    }

    /** Kept over restarts, as the limit of the node is. */
    get enabled(): boolean {
        return this.node?.enabled ?? this.options.enabled ?? true;
    }

    set enabled(enabled: boolean) {
        this.options = { ...this.options, enabled };
        if (this.processed) {
            this.processed.enabled = enabled;
        }
    }

    /** A second time is a restart. */
    init = async (options: LiveKitAudioOptions): Promise<void> => {
        if (options.track.kind !== "audio") {
            throw new PercepNetError("this processor is for audio tracks: set it on the microphone's");
        }
        await this.destroy();
        const context = options.audioContext ?? this.options.context;
        const stream = new MediaStream([options.track]);
        this.processed = await processStream(stream, this.binaries, { ...this.options, context });
        this.processedTrack = this.processed.track;
        // it may have been switched meanwhile
        this.processed.enabled = this.options.enabled ?? true;
        if (this.far) {
            this.processed.setFarEnd(this.far);
        }
    };

    /** What the loudspeaker plays from now on, also after a restart; null for nothing. Needs the option `farEnd`. */
    setFarEnd(stream: MediaStream | null): void {
        this.far = stream;
        this.processed?.setFarEnd(stream);
    }

    restart = (options: LiveKitAudioOptions): Promise<void> => this.init(options);

    destroy = async (): Promise<void> => {
        const { processed, node } = this;
        if (node) {
            this.options = { ...this.options, enabled: node.enabled, attenuationLimit: node.attenuationLimit.value };
        }
        this.processed = null;
        delete this.processedTrack;
        await processed?.destroy();
    };
}
