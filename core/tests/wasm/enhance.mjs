// node enhance.mjs WASM MODEL RATE_HZ IN OUT: what a web page does with the core, on raw 32-bit floats.

import { readFileSync, writeFileSync } from "node:fs";

const [wasmPath, modelPath, rateHz, inPath, outPath] = process.argv.slice(2);
const OPTIONS_BYTES = 36;
const CHUNK = 1000;

// The core imports nothing: neither WASI nor glue is needed.
const { instance } = await WebAssembly.instantiate(readFileSync(wasmPath), {});
const core = instance.exports;
core._initialize();

function take(bytes) {
    const address = core.malloc(bytes);
    if (!address) {
        throw new Error("out of memory");
    }
    return address;
}

function messageAt(address) {
    const bytes = new Uint8Array(core.memory.buffer, address, 256);
    return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
}

function loadModel(file, error) {
    const bytes = take(file.length);
    new Uint8Array(core.memory.buffer).set(file, bytes);
    const model = core.percepnet_model_load(bytes, file.length, error);
    core.free(bytes);
    if (!model) {
        throw new Error(messageAt(error));
    }
    return model;
}

function createStream(model, error) {
    const options = take(OPTIONS_BYTES);
    core.percepnet_options_init(options);
    new DataView(core.memory.buffer).setInt32(options, Number(rateHz), true); // sample_rate_hz is the first field
    const stream = core.percepnet_stream_create(model, options, error);
    core.free(options);
    if (!stream) {
        throw new Error(messageAt(error));
    }
    return stream;
}

const error = take(256);
const model = loadModel(readFileSync(modelPath), error);
const stream = createStream(model, error);
const latency = core.percepnet_stream_latency(stream);
const capacity = CHUNK + latency + Math.floor(rateHz / 100) + 1;
const x = take(4 * CHUNK);
const y = take(4 * capacity);
const raw = readFileSync(inPath);
const input = new Float32Array(raw.buffer, raw.byteOffset, raw.length / 4);
const output = new Float32Array(input.length + latency);
let written = 0;

// The memory may have grown, and then its buffer is another one: it is asked for anew each time.
function keep(ready) {
    output.set(new Float32Array(core.memory.buffer, y, Number(ready)), written);
    written += Number(ready);
}

for (let start = 0; start < input.length; start += CHUNK) {
    const chunk = input.subarray(start, start + CHUNK);
    new Float32Array(core.memory.buffer, x, CHUNK).set(chunk);
    keep(core.percepnet_stream_process(stream, 0, x, BigInt(chunk.length), 0n, y, BigInt(capacity)));
}
keep(core.percepnet_stream_flush(stream, y, BigInt(capacity)));
writeFileSync(outPath, output);
