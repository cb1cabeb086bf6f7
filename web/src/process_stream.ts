/** A MediaStream in, a MediaStream out: what WebRTC sends. */

import type { Binaries } from "./binaries.js";
import { PercepNetError, wordsOf } from "./errors.js";
import { NodeOptions, PercepNetNode } from "./node.js";

const RATE_HZ = 48000;

export interface StreamOptions extends NodeOptions {
    /** A context of the app's own; by default one is made, and closed by `destroy`. */
    context?: AudioContext;
    /** What is wrong, once: the stream goes on unprocessed. By default the console is told. */
    onerror?: (error: PercepNetError) => void;
    /** The source has ended: a device was unplugged, or its track was stopped. `replaceTrack` goes on with another. */
    onended?: () => void;
}

/** An enhanced stream, and what it is made of. */
export class ProcessedStream {
    /** Its audio track is enhanced, and stays the same one until `destroy`; other tracks are those of the source. If there was
        an error from the start, it is the source itself. */
    stream: MediaStream;
    /** null: the source passes unprocessed. */
    node: PercepNetNode | null = null;
    /** Why it does. */
    error: PercepNetError | null = null;
    private context: AudioContext | null = null;
    private source: MediaStreamAudioSourceNode | null = null;
    private farSource: MediaStreamAudioSourceNode | null = null;
    private input: MediaStreamTrack;
    private output: MediaStreamAudioDestinationNode | null = null;
    private isDestroyed = false;
    private readonly wake = () => void this.context?.resume().catch(() => undefined);

    private constructor(
        stream: MediaStream,
        private readonly binaries: Binaries,
        private readonly options: StreamOptions,
    ) {
        this.stream = stream;
        this.input = stream.getAudioTracks()[0]!;
    }

    static async create(stream: MediaStream, binaries: Binaries, options: StreamOptions): Promise<ProcessedStream> {
        const track = stream.getAudioTracks()[0];
        if (!track) {
            throw new PercepNetError("the stream has no audio track: ask getUserMedia for audio");
        }
        if (track.readyState === "ended") {
            throw new PercepNetError("the stream's audio track has ended: ask for the microphone again");
        }
        const processed = new ProcessedStream(stream, binaries, options);
        await processed.begin();
        return processed;
    }


    get track(): MediaStreamTrack {
        return this.stream.getAudioTracks()[0]!;
    }

    /** Seconds that the enhancement adds. */
    get latency(): number {
        return this.node?.latency ?? 0;
    }

    get enabled(): boolean {
        return this.node?.enabled ?? false;
    }

    set enabled(enabled: boolean) {
        if (this.node) {
            this.node.enabled = enabled;
        }
    }

    private async begin(): Promise<void> {
        this.input.addEventListener("ended", this.noticeEnd);
        try {
            await this.connect();
        } catch (refused) {
            await this.release();
            this.say(refused instanceof PercepNetError ? refused : new PercepNetError(wordsOf(refused)));
        }
    }

    private async connect(): Promise<void> {
        const { source, context } = connectSource(this.input, this.options.context);
        this.source = source;
        this.context = context;
        this.node = await PercepNetNode.create(context, this.binaries, this.options);
        this.node.addEventListener("error", (event) => {
            event.preventDefault();
            this.say(event.detail);
        });
        this.output = context.createMediaStreamDestination();
        this.output.channelCount = this.options.channels ?? 1;
        source.connect(this.node).connect(this.output);
        const others = this.stream.getTracks().filter((track) => track.kind !== "audio");
        this.stream = new MediaStream([...this.output.stream.getAudioTracks(), ...others]);
        context.addEventListener("statechange", this.noticeContext);
        await this.start(context);
    }

    /** Browsers let contexts start by themselves while a microphone is in use; those that do not wait for a touch. */
    private async start(context: AudioContext): Promise<void> {
        await Promise.race([context.resume().catch(() => undefined), new Promise((resolve) => setTimeout(resolve, 500))]);
        if (context.state !== "running") {
            this.waitForTouch();
        }
    }

    private waitForTouch(): void {
        for (const type of ["pointerdown", "keydown"]) {
            document.addEventListener(type, this.wake, { capture: true });
        }
    }

    private stopWaiting(): void {
        for (const type of ["pointerdown", "keydown"]) {
            document.removeEventListener(type, this.wake, { capture: true });
        }
    }

    private readonly noticeContext = () => {
        const state = this.context?.state as string | undefined;
        if (state === "running") {
            this.stopWaiting();
        } else if (state === "interrupted" || state === "suspended") {
            // a telephone call on iOS, or an app that saves power
            this.wake();
            this.waitForTouch();
        } else if (state === "closed" && !this.isDestroyed) {
            this.say(new PercepNetError("the audio context was closed: make the stream anew"));
        }
    };

    private readonly noticeEnd = () => {
        if (!this.isDestroyed) {
            this.options.onended?.();
        }
    };

    private say(error: PercepNetError): void {
        if (this.error) {
            return;
        }
        this.error = error;
        if (this.options.onerror) {
            this.options.onerror(error);
        } else {
            console.warn(`percepnet: ${error.message}; the stream goes on unprocessed`);
        }
    }

    /** Go on with another microphone: the processed track, and so the call, stay as they are. Where the browser refuses
        it, this throws, and the one before goes on. */
    replaceTrack(track: MediaStreamTrack): void {
        if (this.isDestroyed || !this.node || !this.context || this.context.state === "closed") {
            throw new PercepNetError("nothing is processed any more: make the stream anew");
        }
        if (track.kind !== "audio" || track.readyState === "ended") {
            throw new PercepNetError("this is no audio track that goes on");
        }
        const refusal = "this microphone does not fit the audio context of the one before: make the stream anew";
        const source = sourceIn(this.context, new MediaStream([track]), refusal);
        this.input.removeEventListener("ended", this.noticeEnd);
        this.source?.disconnect();
        this.input = track;
        this.source = source;
        track.addEventListener("ended", this.noticeEnd);
        this.node.reset();
        source.connect(this.node);
    }

    /** What the loudspeaker plays from now on, such as a call's remote stream, whose echo is taken out: null for nothing. Needs
        the option `farEnd`. Where nothing is processed it does nothing. */
    setFarEnd(stream: MediaStream | null): void {
        if (stream && !this.options.farEnd) {
            throw new PercepNetError("this stream has no far end: process it with farEnd: true");
        }
        this.farSource?.disconnect();
        this.farSource = null;
        if (stream && this.node && this.context && !this.isDestroyed) {
            this.farSource = sourceIn(this.context, stream, "the far end cannot be heard in the microphone's context");
            this.farSource.connect(this.node, 0, 1);
        }
    }

    private async release(): Promise<void> {
        this.isDestroyed = true;
        this.stopWaiting();
        this.input.removeEventListener("ended", this.noticeEnd);
        this.context?.removeEventListener("statechange", this.noticeContext);
        this.source?.disconnect();
        this.farSource?.disconnect();
        this.node?.close();
        this.node = null;
        this.output?.stream.getTracks().forEach((track) => track.stop());
        if (this.context && this.context !== this.options.context && this.context.state !== "closed") {
            await this.context.close();
        }
    }

    /** Give everything back but the source, which belongs to the app. */
    async destroy(): Promise<void> {
        if (!this.isDestroyed) {
            await this.release();
        }
    }
}

interface Connected {
    source: MediaStreamAudioSourceNode;
    context: AudioContext;
}

/** In a context that is there already. Some versions of Firefox connect no source of another rate. */
function sourceIn(context: AudioContext, stream: MediaStream, refusal: string): MediaStreamAudioSourceNode {
    try {
        return context.createMediaStreamSource(stream);
    } catch (refused) {
        throw new PercepNetError(`${refusal} (${wordsOf(refused)})`);
    }
}

/** At 48 kHz where the browser converts the microphone; else at the microphone's rate, which the library converts. */
function connectSource(track: MediaStreamTrack, given?: AudioContext): Connected {
    const stream = new MediaStream([track]);
    if (given) {
        if (given.state === "closed") {
            throw new PercepNetError("the audio context is closed: give one that runs");
        }
        const refusal = "the microphone does not fit the audio context: give none, or one of the microphone's rate";
        return { source: sourceIn(given, stream, refusal), context: given };
    }
    const rates = [RATE_HZ, track.getSettings().sampleRate, undefined];
    for (const sampleRate of rates) {
        const context = new AudioContext(sampleRate ? { sampleRate, latencyHint: "interactive" } : {});
        try {
            return { source: context.createMediaStreamSource(stream), context };
        } catch (refused) {
            void context.close();
            if (sampleRate === undefined || (refused as DOMException).name !== "NotSupportedError") {
                throw refused;
            }
        }
    }
    throw new PercepNetError("the microphone fits no audio context");
}

/** Enhance the audio track of a stream. Where that cannot be done, the result is the stream itself, and `error` says why:
    a call is never lost over it. Rejects only if there is nothing to process. */
export function processStream(
    stream: MediaStream, binaries: Binaries, options: StreamOptions = {},
): Promise<ProcessedStream> {
    return ProcessedStream.create(stream, binaries, options);
}
