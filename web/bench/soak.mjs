// A call of two peers for minutes: `PERCEPNET_REFERENCE=… node web/bench/soak.mjs [MINUTES]`. Counts what was late, and memory.

import { loadavg } from "node:os";

import { folders, launch, open, serve } from "../test/browsers.mjs";

const minutes = Number(process.argv[2] ?? 10);
const EVERY_S = 15;

const host = await serve(folders());
const { browser, end } = await launch();
const { page } = await open(browser, `${host.at}/pages/index.html`);
await page.evaluate(async () => {
    const context = new AudioContext({ sampleRate: 48000 });
    await context.resume();
    const stream = await microphone(context, true);
    const events = [];
    const processed = await processStream(stream, await load(), { context, onerror: (error) => events.push(error.message) });
    processed.node.onoverload = (event) => events.push(`overload at ${event.detail.load}`);
    processed.node.onrecovered = () => events.push("recovered");
    const call = await callWith(processed.stream);
    window.soak = { context, processed, call, events };
});

async function look() {
    const found = await page.evaluate(async () => {
        const { context, processed, call, events } = window.soak;
        const received = [...(await call.b.getStats()).values()].find((each) => each.type === "inbound-rtp");
        const playback = context.playbackStats ?? context.playoutStats ?? null;
        return {
            stats: await processed.node.stats(),
            latency: processed.latency,
            underruns: playback ? (playback.underrunEvents ?? playback.fallbackFramesEvents ?? null) : null,
            underrunS: playback ? (playback.underrunDuration ?? null) : null,
            concealed: received.concealedSamples,
            total: received.totalSamplesReceived,
            events,
        };
    });
    const { JSHeapUsedSize } = await page.metrics();
    return { ...found, heapMB: JSHeapUsedSize / 1e6, load: loadavg()[0] };
}

const start = Date.now();
const rows = [];
while (Date.now() - start < 60_000 * minutes) {
    await new Promise((resolve) => setTimeout(resolve, 1000 * EVERY_S));
    const row = await look();
    rows.push(row);
    const { stats, underruns, underrunS, heapMB, concealed, total, events, load, latency } = row;
    console.log(
        `${((Date.now() - start) / 1000).toFixed(0)} s: audio ${stats.seconds.toFixed(1)} s, ${(stats.spentMs / stats.seconds / 100).toFixed(3)} ms a hop, ` +
            `underruns ${underruns} (${underrunS?.toFixed?.(3)} s), delay ${(1000 * latency).toFixed(1)} ms, memory ${stats.memoryBytes / 1e6} MB, ` +
            `heap ${heapMB.toFixed(1)} MB, concealed ${((100 * concealed) / total).toFixed(2)} %, events ${events.length}, machine's load ${load.toFixed(1)}`,
    );
}
console.log("events:", rows.at(-1).events);
await end();
host.server.close();
host.server.closeAllConnections();
