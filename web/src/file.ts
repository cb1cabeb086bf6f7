/** Recordings: in a worker, as fast as the machine can. */

import { unlessAborted } from "./abort.js";
import { Binaries, checkBinaries } from "./binaries.js";
import { EngineWorker } from "./engine_worker.js";
import { PercepNetError, wordsOf } from "./errors.js";

const RATE_HZ = 48000;

export interface FileOptions {
    /** Decibels; by default there is no limit. */
    attenuationLimit?: number;
    /** What a loudspeaker played meanwhile, one channel of the recording's rate and length, whose echo is taken out. Needs
        binaries of `loadPercepNet({ farEnd: true })`. */
    farEnd?: Float32Array;
    /** From 0 to 1. */
    onProgress?: (done: number) => void;
    signal?: AbortSignal;
}

/** Enhance a recording: a file in any format that this browser plays, or samples. The result is as long, has as many channels,
    and is not delayed; a file's rate becomes 48 kHz, and that of an AudioBuffer stays. */
export async function enhanceFile(
    file: Blob | ArrayBuffer | AudioBuffer, binaries: Binaries, options: FileOptions = {},
): Promise<AudioBuffer> {
    const buffer = file instanceof AudioBuffer ? file : await decode(file);
    const channels: Float32Array[] = [];
    for (let c = 0; c < buffer.numberOfChannels; c++) {
        channels.push(buffer.getChannelData(c));
    }
    const enhanced = await enhanceSamples(channels, buffer.sampleRate, binaries, options);
    const { length, sampleRate, numberOfChannels } = buffer;
    const result = new AudioBuffer({ length, sampleRate, numberOfChannels });
    enhanced.forEach((samples, c) => result.copyToChannel(samples as Float32Array<ArrayBuffer>, c));
    return result;
}

/** The same of plain samples, channel by channel, at 8 to 192 kHz. */
export async function enhanceSamples(
    channels: Float32Array[], sampleRate: number, binaries: Binaries, options: FileOptions = {},
): Promise<Float32Array[]> {
    const { attenuationLimit, farEnd, onProgress, signal } = options;
    signal?.throwIfAborted();
    checkBinaries(binaries, farEnd);
    const worker = new EngineWorker(binaries.worklet);
    const copies = channels.map((channel) => channel.slice());
    try {
        const order = {
            wasm: binaries.wasm,
            model: binaries.models[0]!.bytes,
            residual: farEnd ? binaries.residual : null,
            far: farEnd ?? null,
            channels: copies,
            sampleRate,
            attenuationLimitDb: attenuationLimit ?? -1,
        };
        const enhanced = worker.enhance(order, copies.map((copy) => copy.buffer), onProgress);
        return await unlessAborted(enhanced, signal);
    } finally {
        worker.end();
    }
}

async function decode(file: Blob | ArrayBuffer): Promise<AudioBuffer> {
    // decoding takes the bytes away from their owner
    const bytes = file instanceof Blob ? await file.arrayBuffer() : file.slice(0);
    try {
        return await new OfflineAudioContext(1, 1, RATE_HZ).decodeAudioData(bytes);
    } catch (refused) {
        const name = file instanceof File ? file.name : "the file";
        throw new PercepNetError(`${name} is no audio that this browser can decode: ${wordsOf(refused)}`);
    }
}

/** A WAV file of 16 bits, rounded and clamped. */
export function toWav(buffer: AudioBuffer): Blob {
    const { numberOfChannels: channels, length, sampleRate } = buffer;
    const bytes = 2 * channels * length;
    const view = new DataView(new ArrayBuffer(44 + bytes));
    const text = (at: number, words: string) => [...words].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
    text(0, "RIFF");
    view.setUint32(4, 36 + bytes, true);
    text(8, "WAVEfmt ");
    view.setUint32(16, 16, true);
    view.setUint16(20, 1, true);
    view.setUint16(22, channels, true);
    view.setUint32(24, sampleRate, true);
    view.setUint32(28, 2 * channels * sampleRate, true);
    view.setUint16(32, 2 * channels, true);
    view.setUint16(34, 16, true);
    text(36, "data");
    view.setUint32(40, bytes, true);
    for (let c = 0; c < channels; c++) {
        const samples = buffer.getChannelData(c);
        for (let n = 0; n < length; n++) {
            const rounded = Math.round(32768 * samples[n]!);
            view.setInt16(44 + 2 * (n * channels + c), Math.max(-32768, Math.min(32767, rounded)), true);
        }
    }
    return new Blob([view.buffer], { type: "audio/wav" });
}
