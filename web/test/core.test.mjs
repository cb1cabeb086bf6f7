// The library as WebAssembly, in Node: bits, refusals, and that calls make no garbage.

import assert from "node:assert/strict";
import { test } from "node:test";
import v8 from "node:v8";

import { Core } from "../dist/engine/core.js";
import { hasRelaxedSimd, hasSimd } from "../dist/support.js";
import { bytes, differing, facts, floats, HAS_REFERENCE } from "./support.mjs";

const QUANTUM = 128;
const BINARIES = { "percepnet.wasm": hasSimd(), "percepnet-relaxed.wasm": hasRelaxedSimd() };
const ECHO_BINARIES = { "percepnet-echo.wasm": hasSimd(), "percepnet-echo-relaxed.wasm": hasRelaxedSimd() };
const MODEL = new Uint8Array(bytes("small.safetensors"));
const RESIDUAL = new Uint8Array(bytes("residual.safetensors"));

/** `far`, if it is given, comes in one channel, or as two whose mean it is. */
function through(core, model, x, rate, { far, residual = 0, farChannels = 1 } = {}) {
    const stream = core.createStream(model, { sampleRate: rate, channels: 1, blockSamples: QUANTUM, residual });
    stream.prepare(QUANTUM);
    const y = new Float32Array(x.length);
    for (let at = 0; at < x.length; at += QUANTUM) {
        const played = far && Array(farChannels).fill(far.subarray(at, at + QUANTUM));
        assert.equal(stream.process([x.subarray(at, at + QUANTUM)], played), QUANTUM);
        y.set(stream.output(0), at);
    }
    const latency = stream.latencySamples;
    stream.destroy();
    return { y, latency };
}

for (const [binary, runs] of Object.entries(BINARIES)) {
    const skip = !runs ? "this Node.js refuses these instructions" : !HAS_REFERENCE && "needs reference.py's files";
    test(`${binary} gives the native core's bits`, { skip }, () => {
        const core = Core.compile(bytes(binary));
        const model = core.loadModel(MODEL);
        for (const [rate, latency] of Object.entries(facts().rates)) {
            const x = floats(`x_${rate}.f32`);
            const expected = floats(`y_${rate}.f32`);
            assert.ok(x.length >= 59 * rate && expected.some((sample) => Math.abs(sample) > 0.01));
            const made = through(core, model, x, Number(rate));
            assert.equal(made.latency, latency, `delay at ${rate} Hz`);
            assert.equal(differing(made.y, expected), 0, `samples that differ at ${rate} Hz`);
        }
    });
}

for (const [binary, runs] of Object.entries(ECHO_BINARIES)) {
    const skip = !runs ? "this Node.js refuses these instructions" : !HAS_REFERENCE && "needs reference.py's files";
    test(`${binary} gives the native core's bits, with a far end and without`, { skip }, () => {
        const core = Core.compile(bytes(binary));
        const [model, residual] = [core.loadModel(MODEL), core.loadModel(RESIDUAL)];
        for (const rate of Object.keys(facts().rates).map(Number)) {
            const [x, far, expected] = ["near", "far", "z"].map((name) => floats(`${name}_${rate}.f32`));
            const made = through(core, model, x, rate, { far, residual });
            assert.equal(differing(made.y, expected), 0, `samples that differ at ${rate} Hz`);
            const plain = through(core, model, x, rate);
            assert.ok(differing(plain.y, expected) > rate, "the far end is heard");
            assert.equal(plain.latency, made.latency);
            const stereo = through(core, model, x, rate, { far, residual, farChannels: 2 });
            assert.equal(differing(stereo.y, expected), 0, "two loudspeakers that play the same are one");
            for (const silent of [undefined, new Float32Array(x.length)]) {
                const quiet = through(core, model, x, rate, { far: silent, residual });
                assert.equal(differing(quiet.y, plain.y), 0, "a silent far end, or none, changes no bit");
            }
        }
    });
}

test("the smaller binary has no far end, and says so", () => {
    const core = Core.compile(bytes("percepnet.wasm"));
    const model = core.loadModel(MODEL);
    const options = { sampleRate: 48000, channels: 1, blockSamples: QUANTUM, residual: core.loadModel(RESIDUAL) };
    assert.throws(() => core.createStream(model, options), { name: "PercepNetError", message: /percepnet-echo\.wasm/ });
});

test("binaries import nothing, and have the kernel that they are for", () => {
    for (const [binary, runs] of Object.entries({ ...BINARIES, ...ECHO_BINARIES })) {
        if (runs) {
            const module = new WebAssembly.Module(bytes(binary));
            assert.deepEqual(WebAssembly.Module.imports(module), []);
            assert.equal(new Core(module).kernel, binary.includes("relaxed") ? "wasm-relaxed" : "wasm-simd128");
        }
    }
});

test("what is wrong is said in words", () => {
    const whole = bytes("percepnet.wasm");
    assert.throws(() => Core.compile(whole.slice(0, 1000)), { name: "PercepNetError", message: /fetch it anew/ });
    assert.throws(() => Core.compile(new TextEncoder().encode("<!doctype html>")), { name: "PercepNetError" });
    const core = Core.compile(whole);
    assert.throws(() => core.loadModel(MODEL.subarray(0, 5000)), { name: "PercepNetError", message: /truncated|bytes|header/ });
    assert.throws(() => core.loadModel(new TextEncoder().encode("RIFF....WAVE")), { name: "PercepNetError" });
    const model = core.loadModel(MODEL);
    const options = { sampleRate: 4000, channels: 1, blockSamples: QUANTUM };
    assert.throws(() => core.createStream(model, options), { name: "PercepNetError", message: /sample_rate_hz is 4000/ });
});

test("a model of another format is refused in words", () => {
    const text = new TextDecoder().decode(MODEL.subarray(0, 20000));
    const at = text.indexOf('\\"format_version\\": 2');
    assert.ok(at > 0);
    const other = MODEL.slice();
    other[at + '\\"format_version\\": '.length] = "9".charCodeAt(0);
    assert.throws(() => Core.compile(bytes("percepnet.wasm")).loadModel(other), { message: /format|newer/ });
});

for (const binary of ["percepnet.wasm", "percepnet-echo.wasm"]) {
    test(`calls of ${binary} make no garbage`, () => makeNoGarbage(binary));
}

function makeNoGarbage(binary) {
    const core = Core.compile(bytes(binary));
    const model = core.loadModel(MODEL);
    const residual = binary.includes("echo") ? core.loadModel(RESIDUAL) : 0;
    const stream = core.createStream(model, { sampleRate: 48000, channels: 1, blockSamples: QUANTUM, residual });
    stream.prepare(QUANTUM);
    const input = [new Float32Array(QUANTUM).fill(0.01)];
    const far = [0.1, 0.2].map((value) => new Float32Array(QUANTUM).fill(value));
    const run = (count) => {
        for (let i = 0; i < count; i++) {
            stream.process(input, far);
            stream.output(0);
        }
    };
    run(20_000); // until all of it is compiled, which takes memory too
    const memory = core.exports.memory.buffer;
    const rounds = Array.from({ length: 5 }, () => {
        const before = v8.getHeapStatistics().used_heap_size;
        run(4000);
        return v8.getHeapStatistics().used_heap_size - before;
    });
    // the median: a late compilation adds to one round, a collection takes from one, and garbage is in all of them
    const grown = rounds.sort((a, b) => a - b)[2];
    assert.ok(grown < 100_000, `${grown} bytes of garbage in 4000 calls`);
    assert.equal(core.exports.memory.buffer, memory, "memory grows");
}

test("bypass is the input, as late as ever, and an idle stream too", () => {
    const core = Core.compile(bytes("percepnet.wasm"));
    const model = core.loadModel(MODEL);
    for (const bypass of [true, false]) {
        const stream = core.createStream(model, { sampleRate: 48000, channels: 1, blockSamples: QUANTUM, bypass });
        stream.setIdle(!bypass);
        stream.prepare(QUANTUM);
        const x = Float32Array.from({ length: 200 * QUANTUM }, (_, n) => Math.sin(n * n * 1e-4));
        const y = new Float32Array(x.length);
        for (let at = 0; at < x.length; at += QUANTUM) {
            stream.process([x.subarray(at, at + QUANTUM)]);
            y.set(stream.output(0), at);
        }
        const late = stream.latencySamples;
        assert.equal(differing(y.slice(late), x.slice(0, -late)), 0);
    }
});
