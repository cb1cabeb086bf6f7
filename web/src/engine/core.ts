/** The library as WebAssembly: models and streams by name instead of by address. Runs in an audio worklet, which has
    neither TextDecoder nor fetch, in a worker, and in Node. */

import { PercepNetError } from "../errors.js";
import type { MemoryImage } from "../messages.js";

/** A limit of the attenuation that is none. */
export const NO_LIMIT_DB = -1;

interface Exports {
    memory: WebAssembly.Memory;
    _initialize(): void;
    error(): number;
    version(): number;
    kernel(index: number): number;
    take(bytes: number): number;
    give_back(address: number): void;
    model_load(data: number, size: number, kernel: number): number;
    model_destroy(model: number): void;
    stream_create(
        model: number, rateHz: number, channels: number, block: number, limitDb: number, bypass: number,
    ): number;
    /** Only where the binary has a far end. */
    stream_create_far?(
        model: number, residual: number, rateHz: number, channels: number, block: number, limitDb: number, bypass: number,
    ): number;
    stream_process_far?(
        stream: number, block: number, x: number, far: number, samples: number, stride: number, y: number, capacity: number,
    ): number;
    stream_destroy(stream: number): void;
    stream_latency(stream: number): number;
    stream_ready_max(samples: number, rateHz: number): number;
    stream_process(
        stream: number, block: number, x: number, samples: number, stride: number, y: number, capacity: number,
    ): number;
    stream_flush(stream: number, y: number, capacity: number): number;
    stream_reset(stream: number): void;
    stream_set_attenuation_limit(stream: number, limitDb: number): void;
    stream_set_bypass(stream: number, bypass: number): void;
    stream_set_idle(stream: number, idle: number): void;
    stream_refused_hops(stream: number): number;
    stream_speech_probability(stream: number): number;
    block_create(model: number, channels: number, hops: number): number;
    block_destroy(block: number): void;
}

const PAGE_BYTES = 65536;

export interface StreamOptions {
    sampleRate: number;
    channels: number;
    /** Calls take multiples of so many samples and give back as many; 0: what is ready. */
    blockSamples: number;
    attenuationLimitDb?: number;
    bypass?: boolean;
    /** With a second input, whose echo is taken out: the model that suppresses what is left of it. 0: without. */
    residual?: number;
}

/** An instance of the library with memory of its own. */
export class Core {
    readonly exports: Exports;

    /** With an image, the instance goes on where that one was. */
    constructor(module: WebAssembly.Module, image: MemoryImage | null = null) {
        this.exports = new WebAssembly.Instance(module, {}).exports as unknown as Exports;
        if (image) {
            this.restore(image);
        } else {
            this.exports._initialize();
        }
    }

    /** All that the library knows is in its memory, so that its memory can be carried to another thread. */
    image(addresses: number[], residual = 0): MemoryImage {
        const { buffer } = this.exports.memory;
        const parts: MemoryImage["parts"] = [];
        let start = -1;
        for (let at = 0; at <= buffer.byteLength; at += PAGE_BYTES) {
            const isUsed = at < buffer.byteLength && new Uint32Array(buffer, at, PAGE_BYTES / 4).some((x) => x !== 0);
            if (isUsed && start < 0) {
                start = at;
            } else if (!isUsed && start >= 0) {
                parts.push({ at: start, bytes: buffer.slice(start, at) });
                start = -1;
            }
        }
        return { size: buffer.byteLength, parts, addresses, residual };
    }

    private restore(image: MemoryImage): void {
        const { memory } = this.exports;
        memory.grow((image.size - memory.buffer.byteLength) / PAGE_BYTES);
        const bytes = new Uint8Array(memory.buffer);
        for (const part of image.parts) {
            bytes.set(new Uint8Array(part.bytes), part.at);
        }
    }

    static compile(bytes: BufferSource): Core {
        return new Core(compiled(bytes));
    }

    /** The instruction set that runs. */
    get kernel(): string {
        return this.text(this.exports.kernel(0));
    }

    get version(): string {
        return this.text(this.exports.version());
    }

    /** A model of the bytes of its file, which are not needed any more. */
    loadModel(bytes: Uint8Array): number {
        const at = this.take(bytes.length);
        new Uint8Array(this.exports.memory.buffer).set(bytes, at);
        const model = this.exports.model_load(at, bytes.length, 0);
        // an image is of what is not zero
        new Uint8Array(this.exports.memory.buffer).fill(0, at, at + bytes.length);
        this.exports.give_back(at);
        if (!model) {
            throw this.refusal();
        }
        return model;
    }

    createStream(model: number, options: StreamOptions): CoreStream {
        const { sampleRate, channels, blockSamples, attenuationLimitDb = NO_LIMIT_DB, bypass = false } = options;
        const settings = [sampleRate, channels, blockSamples, attenuationLimitDb, Number(bypass)] as const;
        const { stream_create_far: createFar } = this.exports;
        if (options.residual && !createFar) {
            throw new PercepNetError("this binary has no far end: take percepnet-echo.wasm");
        }
        const stream = options.residual
            ? createFar!(model, options.residual, ...settings)
            : this.exports.stream_create(model, ...settings);
        if (!stream) {
            throw this.refusal();
        }
        return new CoreStream(this, stream, options);
    }

    take(bytes: number): number {
        const at = this.exports.take(bytes);
        if (!at) {
            throw new PercepNetError(`no memory for ${bytes} bytes: close other streams`);
        }
        return at;
    }

    refusal(): PercepNetError {
        return new PercepNetError(this.text(this.exports.error()));
    }

    private text(at: number): string {
        const bytes = new Uint8Array(this.exports.memory.buffer);
        let text = "";
        for (let i = at; i < bytes.length && bytes[i]; i++) {
            text += String.fromCharCode(bytes[i]!);
        }
        return text;
    }
}

/** Compiled at once, which a content security policy without 'wasm-unsafe-eval' forbids. */
export function compiled(bytes: BufferSource): WebAssembly.Module {
    try {
        return new WebAssembly.Module(bytes);
    } catch (refused) {
        throw new PercepNetError(explained(refused));
    }
}

function explained(refused: unknown): string {
    const words = refused instanceof Error ? refused.message : String(refused);
    if (/content security policy|unsafe-eval|csp/i.test(words)) {
        return `the page's content security policy forbids WebAssembly: add 'wasm-unsafe-eval' to its script-src`;
    }
    return `percepnet.wasm cannot be compiled: fetch it anew (${words})`;
}

/** One stream, with room in the library's memory for what goes in and comes out. Its calls make no garbage. */
export class CoreStream {
    readonly latencySamples: number;
    private readonly room: number;
    private x = 0;
    private far = 0;
    private y = 0;
    private capacity = 0;
    private samples = 0;
    private memory: ArrayBuffer | null = null;
    private inputs: Float32Array[] = [];
    private farInput: Float32Array | null = null;
    private outputs: Float32Array[] = [];
    private block = 0;

    constructor(
        private readonly core: Core,
        private readonly address: number,
        private readonly options: StreamOptions,
    ) {
        this.latencySamples = core.exports.stream_latency(address);
        this.room = this.latencySamples;
    }

    /** Long chunks go through the network layer by layer from now on, up to so many hops of 10 ms at once. */
    useBlock(model: number, hops: number): void {
        this.block = this.core.exports.block_create(model, this.options.channels, hops);
        if (!this.block) {
            throw this.core.refusal();
        }
    }

    /** Room for calls of so many samples. */
    prepare(samples: number): void {
        const { exports } = this.core;
        if (this.x) {
            exports.give_back(this.x);
            exports.give_back(this.far);
            exports.give_back(this.y);
        }
        this.samples = samples;
        this.capacity = this.options.blockSamples
            ? samples
            : this.room + exports.stream_ready_max(samples, this.options.sampleRate);
        this.x = this.core.take(4 * samples * this.options.channels);
        this.far = this.options.residual ? this.core.take(4 * samples) : 0;
        this.y = this.core.take(4 * this.capacity * this.options.channels);
        this.memory = null;
        this.look();
    }

    /** The views again, if the memory has grown since. */
    private look(): void {
        const buffer = this.core.exports.memory.buffer;
        if (buffer === this.memory) {
            return;
        }
        this.memory = buffer;
        this.inputs = [];
        this.outputs = [];
        this.farInput = this.far ? new Float32Array(buffer, this.far, this.samples) : null;
        for (let c = 0; c < this.options.channels; c++) {
            this.inputs.push(new Float32Array(buffer, this.x + 4 * c * this.samples, this.samples));
            this.outputs.push(new Float32Array(buffer, this.y + 4 * c * this.capacity, this.capacity));
        }
    }

    /** Enhance as many samples as were prepared: a channel that is not there is silence, one that is missing beside others
        is the first. `far` is what a loudspeaker plays meanwhile: the mean of its channels; none is silence. Returns how many
        there are in `output`. */
    process(input: readonly Float32Array[] | undefined, far?: readonly Float32Array[]): number {
        this.look();
        const given = input ? input.length : 0;
        for (let c = 0; c < this.inputs.length; c++) {
            if (given) {
                this.inputs[c]!.set(input![c < given ? c : 0]!);
            } else {
                this.inputs[c]!.fill(0);
            }
        }
        return this.run(this.samples, this.hearFar(far));
    }

    private hearFar(far: readonly Float32Array[] | undefined): boolean {
        const to = this.farInput;
        if (!to || !far || !far.length) {
            return false;
        }
        to.set(far[0]!);
        for (let c = 1; c < far.length; c++) {
            const other = far[c]!;
            for (let n = 0; n < to.length; n++) {
                to[n]! += other[n]!;
            }
        }
        if (far.length > 1) {
            for (let n = 0; n < to.length; n++) {
                to[n]! /= far.length;
            }
        }
        return true;
    }

    /** The same of the next `count` samples from `start` on, at most as many as were prepared. */
    processPart(input: readonly Float32Array[], start: number, count: number, far?: Float32Array | null): number {
        this.look();
        for (let c = 0; c < this.inputs.length; c++) {
            this.inputs[c]!.set(input[c]!.subarray(start, start + count));
        }
        if (far) {
            this.farInput?.set(far.subarray(start, start + count));
        }
        return this.run(count, Boolean(far));
    }

    private run(count: number, hasFar: boolean): number {
        const { exports } = this.core;
        const ready = this.far
            ? exports.stream_process_far!(
                  this.address, this.block, this.x, hasFar ? this.far : 0, count, this.samples, this.y, this.capacity,
              )
            : exports.stream_process(this.address, this.block, this.x, count, this.samples, this.y, this.capacity);
        if (ready < 0) {
            throw new PercepNetError(`the stream refuses a call of ${count} samples (${ready})`);
        }
        return ready;
    }

    /** The samples that the delay holds back; the stream is at its beginning again. */
    flush(): number {
        this.look();
        return this.core.exports.stream_flush(this.address, this.y, this.capacity);
    }

    /** What the last call gave: it changes with the next one. */
    output(channel: number): Float32Array {
        return this.outputs[channel]!;
    }

    reset(): void {
        this.core.exports.stream_reset(this.address);
    }

    setAttenuationLimit(limitDb: number): void {
        this.core.exports.stream_set_attenuation_limit(this.address, limitDb);
    }

    setBypass(bypass: boolean): void {
        this.core.exports.stream_set_bypass(this.address, Number(bypass));
    }

    setIdle(idle: boolean): void {
        this.core.exports.stream_set_idle(this.address, Number(idle));
    }

    get refusedHops(): number {
        return this.core.exports.stream_refused_hops(this.address);
    }

    /** 0 to 1; below 0, or NaN, if the model does not say. */
    get speechProbability(): number {
        return this.core.exports.stream_speech_probability(this.address);
    }

    destroy(): void {
        const { exports } = this.core;
        exports.stream_destroy(this.address);
        exports.block_destroy(this.block);
        exports.give_back(this.x);
        exports.give_back(this.far);
        exports.give_back(this.y);
    }
}
