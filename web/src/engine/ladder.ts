/** Models from the best to the cheapest, and below them the input as it is. A machine that cannot keep up goes down a step,
    and from the last one it tries again after a while. Every step is as late as any other, and none clicks. */

import { Core, CoreStream, StreamOptions } from "./core.js";

/** Audio that the next stream has to have heard, so that its output is as late as that of the one before. */
const PRIMING_S = 0.15;
const RETRY_S = 5;
const RETRY_MAX_S = 320;

export class Ladder {
    /** The stream that is heard, and whether it enhances. */
    stream: CoreStream;
    isPassing = false;
    private at = 0;
    private next: CoreStream | null = null;
    private untilNextS = 0;
    private untilRetryS = 0;
    private retryS = RETRY_S;
    private keptUpS = 0;
    private readonly streams: CoreStream[] = [];

    /** `names` and `addresses` are of the same models, the best first. */
    constructor(
        private readonly core: Core,
        private readonly names: readonly string[],
        private readonly addresses: readonly number[],
        private options: StreamOptions,
    ) {
        this.stream = this.build()[0]!;
    }

    private build(): CoreStream[] {
        for (const address of this.addresses) {
            const stream = this.core.createStream(address, this.options);
            stream.prepare(this.options.blockSamples);
            this.streams.push(stream);
        }
        return this.streams;
    }

    /** Calls of another length from now on: new streams, of the same models. */
    rebuild(options: StreamOptions): void {
        this.discard();
        this.options = options;
        this.stream = this.build()[this.at]!;
        this.stream.setIdle(this.isPassing);
        this.next = null;
    }

    get model(): string {
        return this.names[this.at]!;
    }

    /** Blocks of silence, before any that counts: code is compiled and memory is fetched meanwhile. A step is a block of one
        stream, and there is a second of each. */
    *warmUp(): Generator<void> {
        for (const stream of this.streams) {
            for (let done = 0; done < this.options.sampleRate; done += this.options.blockSamples) {
                stream.process(undefined);
                yield;
            }
        }
    }

    /** What was heard while warming up is forgotten. */
    endWarmUp(): void {
        for (const stream of this.streams) {
            stream.reset();
        }
    }

    process(input: readonly Float32Array[] | undefined, far: readonly Float32Array[] | undefined, seconds: number): void {
        this.stream.process(input, far);
        if (this.next) {
            this.next.process(input, far);
            this.untilNextS -= seconds;
            if (this.untilNextS <= 0) {
                this.stream = this.next;
                this.next = null;
                this.stream.setIdle(this.isPassing);
            }
        }
    }

    /** Down one step; returns what is heard from now on, which is no model on the last step. */
    goDown(): string | null {
        this.stream.setIdle(true);
        this.keptUpS = 0;
        if (this.at + 1 < this.streams.length && !this.isPassing) {
            this.at++;
            this.next = this.streams[this.at]!;
            this.next.reset();
            this.next.setIdle(true);
            this.untilNextS = PRIMING_S;
            return this.model;
        }
        this.isPassing = true;
        this.untilRetryS = this.retryS;
        this.retryS = Math.min(2 * this.retryS, RETRY_MAX_S);
        return null;
    }

    /** Whether a new try begins: so much more audio has passed. */
    goesUp(seconds: number): boolean {
        if (!this.isPassing) {
            this.keptUpS += seconds;
            if (this.keptUpS > 2 * this.retryS) {
                this.retryS = RETRY_S;
            }
            return false;
        }
        this.untilRetryS -= seconds;
        if (this.untilRetryS > 0) {
            return false;
        }
        this.isPassing = false;
        this.stream.setIdle(false);
        return true;
    }

    setAttenuationLimit(limitDb: number): void {
        this.options.attenuationLimitDb = limitDb;
        for (let i = 0; i < this.streams.length; i++) {
            this.streams[i]!.setAttenuationLimit(limitDb);
        }
    }

    setBypass(bypass: boolean): void {
        this.options.bypass = bypass;
        for (let i = 0; i < this.streams.length; i++) {
            this.streams[i]!.setBypass(bypass);
        }
    }

    private discard(): void {
        for (const stream of this.streams) {
            stream.destroy();
        }
        this.streams.length = 0;
    }

    destroy(): void {
        this.discard();
        for (const address of this.addresses) {
            this.core.exports.model_destroy(address);
        }
    }
}
