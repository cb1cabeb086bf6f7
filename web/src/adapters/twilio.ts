/** Twilio Voice's AudioProcessor, and others like it: createProcessedStream and destroyProcessedStream.

        await device.audio.addProcessor(new PercepNetAudioProcessor(await loadPercepNet({ … }))); */

import type { Binaries } from "../binaries.js";
import { ProcessedStream, processStream, StreamOptions } from "../process_stream.js";

export class PercepNetAudioProcessor {
    private readonly all = new Map<MediaStream, ProcessedStream>();

    constructor(
        private readonly binaries: Binaries,
        private readonly options: StreamOptions = {},
    ) {}

    async createProcessedStream(stream: MediaStream): Promise<MediaStream> {
        const processed = await processStream(stream, this.binaries, this.options);
        this.all.set(processed.stream, processed);
        return processed.stream;
    }

    /** Of a stream that is not one of ours, nothing is done. */
    async destroyProcessedStream(stream: MediaStream): Promise<void> {
        const processed = this.all.get(stream);
        this.all.delete(stream);
        await processed?.destroy();
    }
}
