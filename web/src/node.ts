/** Live audio in a Web Audio graph. */

import { Binaries, checkBinaries } from "./binaries.js";
import { PercepNetError, wordsOf } from "./errors.js";
import type { FromProcessor, ProcessorOptions, Stats, ToProcessor } from "./messages.js";
import { whyUnsupported } from "./support.js";

const PROCESSOR_NAME = "percepnet";
const LIMIT_NONE_DB = 100;
const NOTHING = new ArrayBuffer(0);
const LOAD_MAX = 0.5;
const SPEECH_INTERVAL_S = 0.04;

export interface NodeOptions {
    /** 1, or 2 with one decision for both, which keeps the stereo image. */
    channels?: 1 | 2;
    /** The most by which anything is attenuated, in dB, 0 to 100; 100 is no limit. Also an AudioParam of the node. */
    attenuationLimit?: number;
    /** Whether to enhance from the start; else the input passes as it is, as late as ever. */
    enabled?: boolean;
    /** Whether there is a second input, of what the loudspeaker plays, whose echo is taken out of the first one. Needs binaries
        of `loadPercepNet({ farEnd: true })`. While nothing is connected to it, or it is silent, the output is to the bit that
        of a node without. */
    farEnd?: boolean;
    /** Whether to dispatch `speechprobability`, as often as every 40 ms. */
    speechProbability?: boolean;
    /** Share of real time above which the device is said not to keep up. */
    loadMax?: number;
}

/** starting, then running, or passing the input on (too slow a device; tries again by itself), or failed (an error; passes the
    input on for good), and closed at last. */
export type NodeState = "starting" | "running" | "passing" | "failed" | "closed";

export interface OverloadDetail {
    /** Share of real time that the enhancement took. */
    load: number;
    /** The cheaper model that has taken over; null: the input passes as it is. */
    model: string | null;
}

export interface NodeEvents {
    speechprobability: CustomEvent<{ probability: number; time: number }>;
    overload: CustomEvent<OverloadDetail>;
    recovered: CustomEvent<{ model: string }>;
    error: CustomEvent<PercepNetError>;
    latencychange: CustomEvent<{ latency: number }>;
    statechange: CustomEvent<NodeState>;
}

// for servers that render pages, which have no such class
const Base = (globalThis.AudioWorkletNode ?? class {}) as typeof AudioWorkletNode;

const modules = new WeakMap<BaseAudioContext, Map<string, Promise<void>>>();

/** The worklet's module, once for each context. */
export async function addPercepNetModule(context: BaseAudioContext, worklet: string): Promise<void> {
    if (!context.audioWorklet) {
        throw new PercepNetError(whyUnsupported() ?? "this context has no audio worklets");
    }
    const added = modules.get(context) ?? new Map<string, Promise<void>>();
    modules.set(context, added);
    let module = added.get(worklet);
    if (!module) {
        module = context.audioWorklet.addModule(worklet);
        added.set(worklet, module);
    }
    try {
        await module;
    } catch (refused) {
        added.delete(worklet);
        throw new PercepNetError(`${worklet} cannot be loaded as an audio worklet: ${wordsOf(refused)}`);
    }
}

/** Suppresses noise and reverberation in speech: a mono or stereo input, and an output of as many channels. With `farEnd`, the
    second input is what the loudspeaker plays: `remote.connect(node, 0, 1)`.

    Nothing that goes wrong ends the sound: the input passes as it is, and `error` or `overload` says so. */
export class PercepNetNode extends Base {
    /** Resolved when the first sample can be enhanced; rejected with what is wrong. */
    readonly ready: Promise<void>;
    onspeechprobability: ((event: NodeEvents["speechprobability"]) => void) | null = null;
    onoverload: ((event: NodeEvents["overload"]) => void) | null = null;
    onrecovered: ((event: NodeEvents["recovered"]) => void) | null = null;
    onerror: ((event: NodeEvents["error"]) => void) | null = null;

    private isEnabled: boolean;
    private latencySamples = 0;
    private now: NodeState = "starting";
    private heard: string | null = null;
    private instructions = "";
    private settle!: { resolve(): void; reject(error: Error): void };
    private statsWaiting: { resolve(stats: Stats): void; reject(error: Error): void }[] = [];
    /** Why the audio thread answers no more; null: it does. */
    private gone: PercepNetError | null = null;

    /** Needs the worklet's module: `addPercepNetModule(context, binaries.worklet)` before, or `create`, which does both. */
    constructor(context: BaseAudioContext, binaries: Binaries, options: NodeOptions = {}) {
        super(context, PROCESSOR_NAME, nodeOptions(context, binaries, options));
        this.isEnabled = options.enabled ?? true;
        this.ready = new Promise((resolve, reject) => {
            this.settle = { resolve, reject };
        });
        this.ready.catch(() => undefined);
        this.port.onmessage = (event: MessageEvent<FromProcessor>) => this.take(event.data);
        this.order({ type: "begin" });
        // by the older name and by the newer one
        this.addEventListener("processorerror", this.noticeDeath);
        this.addEventListener("error", this.noticeDeath);
    }

    private readonly noticeDeath = (event: Event) => {
        if (!(event instanceof CustomEvent)) {
            const words = (event as ErrorEvent).message;
            const why = words ? ` (${words})` : "";
            const gone = new PercepNetError(`the audio thread has stopped the node${why}: make another one`);
            this.gone = gone;
            this.statsWaiting.splice(0).forEach(({ reject }) => reject(gone));
            this.fail(gone);
        }
    };

    /** The worklet's module and a node, when it is ready. Rejects with a `PercepNetError`. */
    static async create(context: BaseAudioContext, binaries: Binaries, options: NodeOptions = {}): Promise<PercepNetNode> {
        check(context, binaries, options);
        await addPercepNetModule(context, binaries.worklet);
        const node = new PercepNetNode(context, binaries, options);
        await node.ready;
        return node;
    }

    /** Decibels, 0 to 100; 100 is no limit. */
    get attenuationLimit(): AudioParam {
        return this.parameters.get("attenuationLimit")!;
    }

    get enabled(): boolean {
        return this.isEnabled;
    }

    /** Fades over within 10 ms, without a change of the delay. */
    set enabled(enabled: boolean) {
        this.isEnabled = Boolean(enabled);
        this.order({ type: "enabled", enabled: this.isEnabled });
    }

    /** Seconds by which the output is later than the input; 0 until `ready`, and after an error. */
    get latency(): number {
        return this.latencySamples / this.context.sampleRate;
    }

    get state(): NodeState {
        return this.now;
    }

    /** Name of the model that is heard; null if the input passes as it is. */
    get model(): string | null {
        return this.now === "running" ? this.heard : null;
    }

    /** What runs in the audio thread: wasm-simd128 or wasm-relaxed. */
    get kernel(): string {
        return this.instructions;
    }

    /** Begin anew, as for another voice or room. */
    reset(): void {
        this.order({ type: "reset" });
    }

    /** What the audio thread has done so far. Rejects where that thread is gone. */
    stats(): Promise<Stats> {
        if (this.gone) {
            return Promise.reject(this.gone);
        }
        return new Promise((resolve, reject) => {
            this.statsWaiting.push({ resolve, reject });
            this.order({ type: "stats" });
        });
    }

    /** Disconnect, and give the memory back. */
    close(): void {
        this.disconnect();
        this.order({ type: "close" });
        this.gone = new PercepNetError("the node is closed");
        this.settle.reject(new PercepNetError("the node was closed"));
        this.change("closed");
    }

    private order(order: ToProcessor): void {
        this.port.postMessage(order);
    }

    private take(message: FromProcessor): void {
        switch (message.type) {
            case "beginning":
                this.order({ type: "begin" });
                break;
            case "ready":
                this.instructions = message.kernel;
                this.heard = message.model;
                this.setLatency(message.latencySamples);
                this.change("running");
                this.settle.resolve();
                break;
            case "latency":
                this.setLatency(message.latencySamples);
                break;
            case "error":
                this.fail(new PercepNetError(message.message));
                break;
            case "overload":
                this.heard = message.model ?? this.heard;
                this.change(message.model ? "running" : "passing");
                this.tell("overload", { load: message.load, model: message.model }, this.onoverload);
                break;
            case "recovered":
                this.heard = message.model;
                this.change("running");
                this.tell("recovered", { model: message.model }, this.onrecovered);
                break;
            case "speech":
                this.tell("speechprobability", { probability: message.probability, time: message.time },
                    this.onspeechprobability);
                break;
            case "stats":
                this.statsWaiting.shift()?.resolve(message);
        }
    }

    private setLatency(samples: number): void {
        if (samples !== this.latencySamples) {
            this.latencySamples = samples;
            this.tell("latencychange", { latency: this.latency }, null);
        }
    }

    private change(state: NodeState): void {
        if (state !== this.now && this.now !== "closed") {
            this.now = state;
            this.tell("statechange", state, null);
        }
    }

    private fail(error: PercepNetError): void {
        this.setLatency(0);
        this.change("failed");
        this.settle.reject(error);
        if (this.tell("error", error, this.onerror)) {
            console.warn(`percepnet: ${error.message}; the sound passes unprocessed`);
        }
    }

    /** Returns whether nobody has said that they know (by `preventDefault`, or by a handler). */
    private tell<D>(type: string, detail: D, handler: ((event: CustomEvent<D>) => void) | null): boolean {
        const event = new CustomEvent(type, { detail, cancelable: true });
        handler?.call(this, event);
        return this.dispatchEvent(event) && !handler;
    }
}

/** Events by name, for TypeScript. */
export interface PercepNetNode {
    addEventListener<K extends keyof NodeEvents>(
        type: K, listener: (this: PercepNetNode, event: NodeEvents[K]) => void, options?: boolean | AddEventListenerOptions,
    ): void;
    addEventListener(
        type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions,
    ): void;
}

function nodeOptions(context: BaseAudioContext, binaries: Binaries, options: NodeOptions): AudioWorkletNodeOptions {
    check(context, binaries, options);
    const { channels = 1, enabled = true, attenuationLimit = LIMIT_NONE_DB, farEnd = false } = options;
    const processorOptions: ProcessorOptions = {
        wasm: binaries.wasm,
        // what an image has in it need not go to the audio thread as well
        models: binaries.image ? binaries.models.map(({ name }) => ({ name, bytes: NOTHING })) : binaries.models,
        image: binaries.image ?? null,
        farEnd,
        residual: binaries.image || !farEnd ? null : binaries.residual,
        channels,
        enabled,
        attenuationLimitDb: attenuationLimit >= LIMIT_NONE_DB ? -1 : attenuationLimit,
        loadMax: isOffline(context) ? null : (options.loadMax ?? LOAD_MAX),
        speechIntervalS: options.speechProbability ? SPEECH_INTERVAL_S : 0,
    };
    return {
        numberOfInputs: farEnd ? 2 : 1,
        numberOfOutputs: 1,
        outputChannelCount: [channels],
        channelCount: channels,
        channelCountMode: "explicit",
        channelInterpretation: "speakers",
        parameterData: { attenuationLimit: Math.min(attenuationLimit, LIMIT_NONE_DB) },
        processorOptions,
    };
}

function isOffline(context: BaseAudioContext): boolean {
    return typeof OfflineAudioContext === "function" && context instanceof OfflineAudioContext;
}

function check(context: BaseAudioContext, binaries: Binaries, options: NodeOptions): void {
    const { channels = 1, attenuationLimit = LIMIT_NONE_DB, farEnd } = options;
    const lacking = whyUnsupported();
    if (lacking) {
        throw new PercepNetError(lacking);
    }
    if (context.state === "closed") {
        throw new PercepNetError("the context is closed: make the node in one that runs");
    }
    checkBinaries(binaries, farEnd);
    if (channels !== 1 && channels !== 2) {
        throw new PercepNetError(`channels is ${String(channels)}: give 1 or 2`);
    }
    if (!(attenuationLimit >= 0)) {
        throw new PercepNetError(`attenuationLimit is ${attenuationLimit}: give 0 to 100 dB, 100 for none`);
    }
}
