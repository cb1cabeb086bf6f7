// What a hop of 10 ms costs in Chromium, next to RNNoise in the same page: `PERCEPNET_REFERENCE=… node web/bench/hop.mjs`.
// Hot: one after the other. Paced: one every 10 ms, as in a call, when caches have forgotten.

import { loadavg } from "node:os";
import { join } from "node:path";

import { folders, launch, open, serve } from "../test/browsers.mjs";
import { WEB } from "../test/support.mjs";

const host = await serve(folders({ rnnoise: join(WEB, "node_modules", "@jitsi", "rnnoise-wasm", "dist") }));
const { browser, end } = await launch();
const { page } = await open(browser, `${host.at}/pages/index.html`);

const found = await page.evaluate(async () => {
    const { Core } = await import("../dist/engine/core.js");
    const { default: createRNNoise } = await import("../rnnoise/rnnoise-sync.js");
    const x = await floats("microphone.f32");
    const get = async (name) => (await fetch(`../dist/${name}`)).arrayBuffer();
    const systems = {};
    for (const binary of ["percepnet.wasm", "percepnet-relaxed.wasm"]) {
        for (const model of ["small", "default"]) {
            const core = Core.compile(await get(binary));
            const at = core.loadModel(new Uint8Array(await get(`${model}.safetensors`)));
            const stream = core.createStream(at, { sampleRate: 48000, channels: 1, blockSamples: 480 });
            stream.prepare(480);
            systems[`${core.kernel} ${model}`] = (hop) => {
                stream.process([hop]);
                return stream.output(0);
            };
        }
    }
    const rnnoise = createRNNoise();
    await rnnoise.ready;
    const [state, memory] = [rnnoise._rnnoise_create(), rnnoise._malloc(4 * 480)];
    systems["@jitsi/rnnoise-wasm"] = (hop) => {
        const frame = rnnoise.HEAPF32.subarray(memory / 4, memory / 4 + 480);
        for (let n = 0; n < 480; n++) {
            frame[n] = 32768 * hop[n];
        }
        rnnoise._rnnoise_process_frame(state, memory, memory);
        return rnnoise.HEAPF32.subarray(memory / 4, memory / 4 + 480);
    };
    const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
    const hopAt = (i) => x.subarray((i % 2000) * 480, (i % 2000) * 480 + 480);
    const costs = Object.fromEntries(Object.keys(systems).map((name) => [name, { hot: [], paced: [] }]));
    for (let round = 0; round < 8; round++) {
        for (const [name, process] of Object.entries(systems)) {
            for (let i = 0; i < 100; i++) {
                process(hopAt(i));
            }
            const start = performance.now();
            for (let i = 0; i < 400; i++) {
                process(hopAt(i));
            }
            costs[name].hot.push((performance.now() - start) / 400);
        }
    }
    for (const [name, process] of Object.entries(systems)) {
        for (let i = 0; i < 300; i++) {
            await wait(0.01);
            const start = performance.now();
            process(hopAt(i));
            costs[name].paced.push(performance.now() - start);
        }
    }
    // clocks of pages are coarse: means of what is paced, without the slowest tenth, which others of this machine have made
    const trimmed = (values) => {
        const kept = values.sort((a, b) => a - b).slice(0, Math.round(0.9 * values.length));
        return kept.reduce((sum, value) => sum + value, 0) / kept.length;
    };
    return Object.entries(costs).map(([name, { hot, paced }]) => [name, median(hot), Math.min(...hot), trimmed(paced)]);
});
const rnnoise = found.at(-1);
console.log(`${await browser.version()}, machine's load ${loadavg()[0].toFixed(1)}`);
console.log("| | hot, median of 8 rounds | best round | paced | hot, as a share of RNNoise |\n|---|---|---|---|---|");
for (const [name, hot, best, paced] of found) {
    const us = [hot, best, paced].map((ms) => `${(1000 * ms).toFixed(0)} µs`).join(" | ");
    console.log(`| ${name} | ${us} | ${(best / rnnoise[2]).toFixed(2)} |`);
}
await end();
host.server.close();
host.server.closeAllConnections();
