// Calls of two peers for minutes: `PERCEPNET_REFERENCE=… node web/bench/soak.mjs [MINUTES] [MODEL]`. Counts what was late, and memory.
//
// Two browsers at once: in one the microphone goes through the library, in the other it does not. What is late in both is
// the machine's doing.

import { loadavg } from "node:os";

import { folders, launch, open, serve } from "../test/browsers.mjs";

const minutes = Number(process.argv[2] ?? 10);
const model = process.argv[3] ?? "small";
const EVERY_S = 15;

const host = await serve(folders());

async function begin(isEnhanced) {
    const { browser, end } = await launch();
    const { page } = await open(browser, `${host.at}/pages/index.html`);
    await page.evaluate(async (isEnhanced, model) => {
        const context = new AudioContext({ sampleRate: 48000 });
        await context.resume();
        const stream = await microphone(context, true);
        const events = [];
        let processed = null;
        let sent = stream;
        if (isEnhanced) {
            processed = await processStream(stream, await load({ model }), { context, onerror: (error) => events.push(error.message) });
            processed.node.onoverload = (event) => events.push(`overload at ${event.detail.load}`);
            processed.node.onrecovered = () => events.push("recovered");
            sent = processed.stream;
        } else { // through the same context, so that its thread has to be in time too
            const target = context.createMediaStreamDestination();
            context.createMediaStreamSource(stream).connect(target);
            sent = target.stream;
        }
        window.soak = { context, processed, call: await callWith(sent), events };
    }, isEnhanced, model);
    return { page, end };
}

async function look({ page }) {
    const found = await page.evaluate(async () => {
        const { context, processed, call, events } = window.soak;
        const received = [...(await call.b.getStats()).values()].find((each) => each.type === "inbound-rtp");
        const playback = context.playbackStats ?? context.playoutStats ?? null;
        return {
            stats: processed ? await processed.node.stats() : null,
            latency: processed ? processed.latency : 0,
            underruns: playback ? (playback.underrunEvents ?? playback.fallbackFramesEvents ?? null) : null,
            underrunS: playback ? (playback.underrunDuration ?? null) : null,
            concealed: received.concealedSamples,
            total: received.totalSamplesReceived,
            events,
        };
    });
    const { JSHeapUsedSize } = await page.metrics();
    return { ...found, heapMB: JSHeapUsedSize / 1e6 };
}

function told({ stats, underruns, underrunS, concealed, total, heapMB, latency, events }) {
    const common = `underruns ${underruns} (${underrunS?.toFixed?.(3)} s), concealed ${((100 * concealed) / total).toFixed(2)} %, heap ${heapMB.toFixed(1)} MB`;
    if (!stats) {
        return common;
    }
    const { seconds, spentMs, longestMs, memoryBytes } = stats;
    return (
        `${(spentMs / seconds / 100).toFixed(3)} ms a hop, the longest call ${longestMs.toFixed(1)} ms, ${common}, delay ${(1000 * latency).toFixed(1)} ms, ` +
        `memory ${memoryBytes / 1e6} MB, events ${events.length}`
    );
}

const calls = { "with the library": await begin(true), without: await begin(false) };
const start = Date.now();
let last = {};
while (Date.now() - start < 60_000 * minutes) {
    await new Promise((resolve) => setTimeout(resolve, 1000 * EVERY_S));
    for (const [name, call] of Object.entries(calls)) {
        last[name] = await look(call);
        console.log(`${((Date.now() - start) / 1000).toFixed(0)} s, ${name}: ${told(last[name])}; machine's load ${loadavg()[0].toFixed(1)}`);
    }
}
console.log("events:", last["with the library"].events);
for (const call of Object.values(calls)) {
    await call.end();
}
host.server.close();
host.server.closeAllConnections();
