// node web/bench/rnnoise.mjs IN OUT: RNNoise as @jitsi/rnnoise-wasm, on raw 32-bit floats at 48 kHz.

import { readFileSync, writeFileSync } from "node:fs";

import createRNNWasmModuleSync from "@jitsi/rnnoise-wasm/dist/rnnoise-sync.js";

const [from, to] = process.argv.slice(2);
const raw = readFileSync(from);
const x = new Float32Array(raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.length));
const rnnoise = createRNNWasmModuleSync();
await rnnoise.ready;
const state = rnnoise._rnnoise_create();
const at = rnnoise._malloc(4 * 480);
const y = new Float32Array(x.length);
for (let start = 0; start + 480 <= x.length; start += 480) {
    const frame = rnnoise.HEAPF32.subarray(at / 4, at / 4 + 480);
    x.subarray(start, start + 480).forEach((sample, n) => (frame[n] = 32768 * sample));
    rnnoise._rnnoise_process_frame(state, at, at);
    y.set(rnnoise.HEAPF32.subarray(at / 4, at / 4 + 480).map((sample) => sample / 32768), start);
}
writeFileSync(to, y);
