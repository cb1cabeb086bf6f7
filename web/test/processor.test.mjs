// The audio thread's side, in a scope like that of an audio worklet, with a clock that the tests turn.

import assert from "node:assert/strict";
import { test } from "node:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import vm from "node:vm";

import { Budget } from "../dist/engine/budget.js";
import { Core } from "../dist/engine/core.js";
import { bytes, DIST } from "./support.mjs";

const SOURCE = readFileSync(join(DIST, "worklet.js"), "utf8");
const LIMIT_NONE = { attenuationLimit: new Float32Array([100]) };

/** The processor's class, what it has posted, and its clock. */
function scope({ sampleRate = 48000, renderQuantumSize } = {}) {
    const posted = [];
    const clock = { ms: 0, costMs: 0 };
    const port = { postMessage: (message) => posted.push(message), onmessage: null };
    let made;
    const globals = {
        sampleRate,
        renderQuantumSize,
        currentTime: 0,
        WebAssembly,
        Float32Array,
        Uint8Array,
        // each look at the clock costs: a call looks twice
        performance: { now: () => (clock.ms += clock.costMs) },
        AudioWorkletProcessor: class {
            port = port;
        },
        registerProcessor: (name, processor) => {
            made = { name, processor };
        },
    };
    vm.runInNewContext(SOURCE, vm.createContext(globals));
    const begin = () => port.onmessage({ data: { type: "begin" } });
    // as the node does
    const goOn = () => {
        do {
            begin();
        } while (posted.at(-1)?.type === "beginning");
    };
    const start = (options = {}, steps = Infinity) => {
        const processorOptions = {
            wasm: bytes("percepnet.wasm"),
            models: [{ name: "small", bytes: bytes("small.safetensors") }],
            channels: 1,
            enabled: true,
            attenuationLimitDb: -1,
            loadMax: 0.5,
            speechIntervalS: 0,
            ...options,
        };
        const processor = new made.processor({ processorOptions });
        if (steps === Infinity) {
            goOn();
        } else {
            for (let step = 0; step < steps; step++) {
                begin();
            }
        }
        return processor;
    };
    return { start, goOn, posted, clock, order: (message) => port.onmessage({ data: message }), sampleRate };
}

function block(samples, value = 0.1) {
    return Float32Array.from({ length: samples }, (_, n) => value * Math.sin(n * 0.1));
}

function call(processor, samples, channels = 1, given = 1) {
    const input = Array.from({ length: given }, () => block(samples));
    const output = Array.from({ length: channels }, () => new Float32Array(samples));
    assert.equal(processor.process([input], [output], LIMIT_NONE), true);
    return { input, output };
}

const last = (posted, type) => posted.filter((message) => message.type === type).at(-1);

for (const quantum of [128, 256, 192, 441]) {
    test(`render quanta of ${quantum}`, () => {
        const known = scope({ renderQuantumSize: quantum });
        const other = scope();
        const [first, second] = [known.start(), other.start()];
        const heard = [[], []];
        for (let i = 0; i < 200; i++) {
            heard[0].push(...call(first, quantum).output[0]);
            heard[1].push(...call(second, quantum).output[0]);
        }
        assert.deepEqual(heard[0], heard[1], "told or found out, it is the same");
        assert.ok(heard[0].some((sample) => sample !== 0));
        const delays = [last(known.posted, "ready"), last(other.posted, quantum === 128 ? "ready" : "latency")];
        assert.equal(delays[0].latencySamples, delays[1].latencySamples);
    });
}

test("a model that a worker has loaded gives the same, and the beginning is done in steps", () => {
    const own = scope();
    const [first, second] = [own.start(), scope()];
    const core = Core.compile(bytes("percepnet.wasm"));
    const image = core.image([core.loadModel(new Uint8Array(bytes("small.safetensors")))]);
    assert.ok(image.parts.reduce((sum, part) => sum + part.bytes.byteLength, 0) < image.size / 2, "the file is not in it");
    second.clock.costMs = 1;
    const carried = second.start({ image }, 1);
    assert.equal(last(second.posted, "ready"), undefined);
    const { output } = call(carried, 128);
    assert.ok(output[0].every((sample) => sample === 0), "silence until it is ready");
    second.goOn();
    assert.ok(last(second.posted, "ready"));
    assert.ok(second.posted.length > 10, "each step is short");
    second.clock.costMs = 0;
    for (let i = 0; i < 200; i++) {
        assert.deepEqual(call(carried, 128).output[0], call(first, 128).output[0]);
    }
});

test("a second input: its echo goes, whoever has loaded the models, and without one nothing changes", () => {
    const residual = bytes("residual.safetensors");
    const wasm = bytes("percepnet-echo.wasm");
    const core = Core.compile(wasm);
    const addresses = [core.loadModel(new Uint8Array(bytes("small.safetensors")))];
    const image = core.image(addresses, core.loadModel(new Uint8Array(residual)));
    const scopes = [{}, { wasm, farEnd: true, residual }, { wasm, farEnd: true, image }, { wasm, farEnd: true, residual }].map((o) => {
        const made = scope();
        return { processor: made.start(o), posted: made.posted };
    });
    const noise = Float32Array.from({ length: 128 * 400 }, (_, n) => 0.1 * Math.sin(n * n * 0.37));
    const echo = noise.map((_, n) => 0.5 * (noise[n - 200] ?? 0));
    const heard = scopes.map(() => []);
    for (let at = 0; at < noise.length; at += 128) {
        const part = [noise.subarray(at, at + 128)];
        const inputs = [[], [part], [part], [[]]];
        scopes.forEach(({ processor }, i) => {
            const output = [new Float32Array(128)];
            processor.process([[echo.slice(at, at + 128)], ...inputs[i]], [output], LIMIT_NONE);
            heard[i].push(...output[0]);
        });
    }
    scopes.forEach(({ posted }) => assert.equal(last(posted, "error"), undefined));
    const power = (y) => y.slice(-128 * 100).reduce((sum, sample) => sum + sample * sample, 0);
    assert.ok(power(heard[1]) < 0.01 * power(heard[0]), `${power(heard[1])} of ${power(heard[0])}`);
    assert.deepEqual(heard[2], heard[1]);
    assert.deepEqual(heard[3], heard[0]);
});

test("stereo is enhanced with one decision, mono is given to both, and no input is silence", () => {
    const { start, posted } = scope();
    const processor = start({ channels: 2 });
    for (let i = 0; i < 40; i++) {
        const { output } = call(processor, 128, 2, 1);
        assert.deepEqual(output[0], output[1]);
    }
    call(processor, 128, 2, 0);
    call(processor, 128, 2, 2);
    assert.equal(last(posted, "error"), undefined);
});

test("a model that is cut short: words, and the input as it is", () => {
    const { start, posted } = scope();
    const processor = start({ models: [{ name: "small", bytes: bytes("small.safetensors").slice(0, 9000) }] });
    assert.match(last(posted, "error").message, /\w+ \w+/);
    const { input, output } = call(processor, 128);
    assert.deepEqual(output[0], input[0]);
});

test("a rate that the library does not take: words, and the input as it is", () => {
    const { start, posted } = scope({ sampleRate: 3000 });
    const { input, output } = call(start(), 128);
    assert.match(last(posted, "error").message, /sample_rate_hz is 3000/);
    assert.deepEqual(output[0], input[0]);
});

test("closed, it ends", () => {
    const { start, order } = scope();
    const processor = start();
    order({ type: "close" });
    assert.equal(processor.process([[block(128)]], [[new Float32Array(128)]], LIMIT_NONE), false);
});

/** Seconds of audio; returns whether what came out was the input, late, at the end of it. */
function play(processor, clock, seconds, late) {
    const x = [];
    const y = [];
    for (let i = 0; i < (seconds * 48000) / 128; i++) {
        const noise = Float32Array.from({ length: 128 }, () => Math.random() - 0.5);
        const output = [new Float32Array(128)];
        processor.process([[noise]], [output], LIMIT_NONE);
        // the rest of the quantum passes elsewhere
        clock.ms += Math.max(0, 128 / 48 - clock.costMs);
        x.push(...noise);
        y.push(...output[0]);
    }
    const from = y.length - 2000;
    return y.slice(from).every((sample, n) => sample === x[from + n - late]);
}

for (const enabled of [true, false]) {
    test(`switched ${enabled ? "off" : "on"} before it is ready: so it is from the first sample`, () => {
        const { start, goOn, order, posted, clock } = scope();
        clock.costMs = 1;
        const processor = start({ enabled }, 10); // it warms up
        assert.equal(last(posted, "ready"), undefined);
        order({ type: "enabled", enabled: !enabled });
        goOn();
        clock.costMs = 0;
        assert.equal(play(processor, clock, 0.1, last(posted, "ready").latencySamples), enabled);
    });
}

test("too slow a device: the input passes, later it is tried again, and it recovers", () => {
    const { start, posted, clock } = scope();
    const processor = start();
    const late = last(posted, "ready").latencySamples;
    assert.equal(play(processor, clock, 1, late), false);
    clock.costMs = 3;
    assert.equal(play(processor, clock, 1, late), true, "the input as it is, as late as ever");
    assert.equal(last(posted, "overload").model, null);
    clock.costMs = 0;
    assert.equal(play(processor, clock, 3, late), true);
    assert.equal(last(posted, "recovered"), undefined);
    play(processor, clock, 4, late);
    assert.equal(last(posted, "recovered").model, "small");
    assert.equal(play(processor, clock, 1, late), false, "it enhances again");
    assert.equal(posted.filter((message) => message.type === "overload").length, 1);
});

test("with a cheaper model at hand, that one takes over", () => {
    const { start, posted, clock } = scope();
    const bytesOfSmall = bytes("small.safetensors");
    const processor = start({ models: [{ name: "dear", bytes: bytesOfSmall }, { name: "cheap", bytes: bytesOfSmall }] });
    const late = last(posted, "ready").latencySamples;
    play(processor, clock, 1, late);
    clock.costMs = 1.6; // over the limit of half of the time, and not much over
    play(processor, clock, 0.6, late);
    clock.costMs = 0;
    assert.equal(last(posted, "overload").model, "cheap");
    assert.equal(play(processor, clock, 2, late), false, "it goes on enhancing");
    assert.equal(posted.filter((message) => message.type === "overload").length, 1);
});

test("the budget: two heavy windows in a row, or the clock on the wall, and not a sleep", () => {
    const run = (budget, windows, cost, wall) => {
        let told = false;
        let now = budget.now ?? 0;
        for (let i = 0; i < windows * 25; i++) {
            told = budget.isTooMuch(now, now + cost, 10) || told;
            now += wall;
        }
        budget.now = now;
        return told;
    };
    assert.equal(run(new Budget(), 8, 4, 10), false, "40 % is fine");
    const budget = new Budget();
    assert.equal(run(budget, 1, 6, 10), false, "one heavy window may be anything");
    assert.equal(run(budget, 1, 6, 10), true, "two are not");
    assert.equal(run(new Budget(), 1, 9.5, 10), true, "nor one that is all");
    assert.equal(run(new Budget(), 2, 3, 20), true, "audio that takes twice its time, and we a third of it");
    assert.equal(run(new Budget(), 4, 0.5, 20), false, "others are to blame");
    const slept = new Budget();
    run(slept, 1, 3, 10);
    slept.now += 60_000;
    assert.equal(run(slept, 1, 3, 10), false, "a closed laptop");
});
