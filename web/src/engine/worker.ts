/** A worker's side: recordings as fast as the machine can, and what a hop costs. */

import { PercepNetError, wordsOf } from "../errors.js";
import type { FromWorker, ToWorker } from "../messages.js";
import { Core } from "./core.js";

const CHUNK_S = 0.5;
const BLOCK_HOPS = 50;
const MEASURE_RATE_HZ = 48000;
const MEASURE_HOP = 480;
const MEASURE_WARM_HOPS = 40;
const MEASURE_HOPS = 60;

type Say = (message: FromWorker, transfer?: Transferable[]) => void;

export function serve(): void {
    const say: Say = (message, transfer = []) => postMessage(message, { transfer });
    onmessage = (event: MessageEvent<ToWorker>) => {
        try {
            answer(event.data, say);
        } catch (thrown) {
            say({ id: event.data.id, type: "error", message: wordsOf(thrown) });
        }
    };
}

function answer(order: ToWorker, say: Say): void {
    const core = Core.compile(order.wasm);
    if (order.type === "load") {
        const addresses = order.models.map((bytes) => core.loadModel(new Uint8Array(bytes)));
        const image = core.image(addresses, residualOf(core, order.residual));
        say({ id: order.id, type: "loaded", image }, image.parts.map((part) => part.bytes));
        return;
    }
    const model = core.loadModel(new Uint8Array(order.model));
    const residual = residualOf(core, order.residual);
    if (order.type === "measure") {
        say({ id: order.id, type: "measured", hopMs: measure(core, model, residual), kernel: core.kernel });
    } else {
        const channels = enhanceAll(core, model, residual, order, (done) => say({ id: order.id, type: "progress", done }));
        say({ id: order.id, type: "enhanced", channels }, channels.map((channel) => channel.buffer));
    }
}

function residualOf(core: Core, bytes: ArrayBuffer | null): number {
    return bytes ? core.loadModel(new Uint8Array(bytes)) : 0;
}

/** Median of what hops of noise take, in milliseconds, when caches and compilers are warm. A far end is other noise. */
function measure(core: Core, model: number, residual: number): number {
    const options = { sampleRate: MEASURE_RATE_HZ, channels: 1, blockSamples: MEASURE_HOP, residual };
    const stream = core.createStream(model, options);
    stream.prepare(MEASURE_HOP);
    const noise = new Float32Array(MEASURE_HOP);
    const far = new Float32Array(MEASURE_HOP);
    const times: number[] = [];
    for (let hop = 0; hop < MEASURE_WARM_HOPS + MEASURE_HOPS; hop++) {
        for (let i = 0; i < MEASURE_HOP; i++) {
            noise[i] = 0.1 * (Math.random() - 0.5);
            far[i] = 0.1 * (Math.random() - 0.5);
        }
        const start = performance.now();
        stream.process([noise], [far]);
        if (hop >= MEASURE_WARM_HOPS) {
            times.push(performance.now() - start);
        }
    }
    // some browsers round their clock to a millisecond: the mean is right where single times are not
    const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
    const median = times.sort((a, b) => a - b)[times.length >> 1]!;
    return median > 0.1 && median < mean ? median : mean;
}

interface Recording {
    channels: Float32Array[];
    sampleRate: number;
    attenuationLimitDb: number;
    far: Float32Array | null;
}

/** As long as they were, and not delayed. */
function enhanceAll(
    core: Core, model: number, residual: number, recording: Recording, progress: (done: number) => void,
): Float32Array[] {
    const { channels, sampleRate, attenuationLimitDb, far } = recording;
    const length = channels[0]?.length ?? 0;
    if (!length || channels.some((channel) => channel.length !== length)) {
        throw new PercepNetError("a recording needs one channel or more, all equally long, with samples in them");
    }
    if (far && far.length !== length) {
        throw new PercepNetError(`a far end of ${far.length} samples: give ${length}, as many as the recording has`);
    }
    const options = { sampleRate, channels: channels.length, blockSamples: 0, attenuationLimitDb, residual };
    const stream = core.createStream(model, options);
    stream.useBlock(model, BLOCK_HOPS);
    const chunk = Math.round(CHUNK_S * sampleRate);
    stream.prepare(chunk);
    const enhanced = channels.map(() => new Float32Array(length));
    let at = -stream.latencySamples;
    const keep = (ready: number) => {
        const skip = Math.min(Math.max(-at, 0), ready);
        const count = Math.min(ready, length - at);
        if (count > skip) {
            enhanced.forEach((samples, c) => samples.set(stream.output(c).subarray(skip, count), at + skip));
        }
        at += ready;
    };
    for (let start = 0; start < length; start += chunk) {
        const count = Math.min(chunk, length - start);
        keep(stream.processPart(channels, start, count, far));
        progress((start + count) / length);
    }
    keep(stream.flush());
    return enhanced;
}
