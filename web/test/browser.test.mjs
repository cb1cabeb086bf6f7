// The package in a real browser: PERCEPNET_BROWSER is chromium or firefox.

import assert from "node:assert/strict";
import os from "node:os";
import { after, before, test } from "node:test";

import { BROWSER, folders, launch, open, serve, whyNot } from "./browsers.mjs";
import { HAS_REFERENCE } from "./support.mjs";

const skip = whyNot() || (!HAS_REFERENCE && "needs reference.py's files");
const CALL_S = Number(process.env.PERCEPNET_CALL_S ?? 24);
const ATTEMPTS = 2;
const BUSY = 0.8; // running processes a core
const isReal = BROWSER === "chromium";
let host, started, page, complaints;

before(async () => {
    if (skip) {
        return;
    }
    host = await serve(folders());
    started = await launch();
    ({ page, complaints } = await open(started.browser, `${host.at}/pages/index.html`));
});

after(async () => {
    await started?.end();
    host?.server.close();
    host?.server.closeAllConnections();
});

const check = (name, body) => test(`${BROWSER}: ${name}`, { skip, timeout: 240_000 }, body);

check("it is supported, and measured", async () => {
    const found = await page.evaluate(async () => {
        const { models, hopMs } = await load({ model: "auto", budget: 1 });
        return { isSupported: percepnet.isSupported(), names: models.map((model) => model.name), hopMs };
    });
    assert.equal(found.isSupported, true);
    assert.deepEqual(found.names, ["default", "small"]);
    assert.ok(found.hopMs > 0.01 && found.hopMs < 20, `${found.hopMs} ms a hop`);
});

check("a slow device is given the cheaper model", async () => {
    const names = await page.evaluate(async () => (await load({ model: "auto", budget: 1e-6 })).models.map((m) => m.name));
    assert.deepEqual(names, ["small"]);
});

for (const rate of [48000, 44100, 16000]) {
    for (const binary of ["percepnet.wasm", "percepnet-relaxed.wasm"]) {
        check(`${binary} at ${rate} Hz gives the native core's bits`, async () => {
            const found = await page.evaluate((...given) => bits(...given), rate, binary);
            assert.equal(found.differing, 0);
            assert.ok(found.seconds > 59);
            assert.equal(found.kernel, binary.includes("relaxed") ? "wasm-relaxed" : "wasm-simd128");
            console.log(`# ${binary}, ${rate} Hz: ${found.hopMs.toFixed(3)} ms a hop in the graph`);
        });
    }
}

for (const rate of [48000, 44100, 16000]) {
    for (const binary of ["percepnet-echo.wasm", "percepnet-echo-relaxed.wasm"]) {
        check(`${binary} at ${rate} Hz: with a far end the native core's bits, and while it is silent those without`, async () => {
            const found = await page.evaluate((...given) => farBits(...given), rate, binary);
            assert.equal(found.differing, 0);
            assert.ok(found.heard > rate, "the far end is heard");
            assert.equal(found.unconnected, 0);
            assert.equal(found.silent, 0);
            assert.deepEqual(found.inputs, [2, 1]);
        });
    }
}

check("a far end: in recordings, of a stream, and words where it cannot be", async () => {
    const found = await page.evaluate(async (isReal) => {
        const [x, far, expected] = await Promise.all(["near", "far", "z"].map((name) => floats(`${name}_48000.f32`)));
        const [binaries, without] = [await load({ farEnd: true }), await load()];
        const [y] = await enhanceSamples([x], 48000, binaries, { farEnd: far });
        const late = 1888; // of a node's stream
        const context = new AudioContext({ sampleRate: 48000 });
        await context.resume();
        const stream = await microphone(context, isReal);
        const processed = await processStream(stream, binaries, { context, farEnd: true });
        processed.setFarEnd(await fileStream(context));
        await wait(0.5);
        const { refusedHops } = await processed.node.stats();
        const state = processed.node.state;
        processed.setFarEnd(null);
        const plain = await processStream(stream, binaries, { context });
        const refused = await words((async () => plain.setFarEnd(stream))());
        await Promise.all([processed.destroy(), plain.destroy()]);
        const result = {
            differing: differing(y.subarray(0, -late), expected.subarray(late)), length: y.length === x.length, state, refusedHops,
            refused, node: await words((async () => new PercepNetNode(context, without, { farEnd: true }))()),
            recording: await words(enhanceSamples([x], 48000, without, { farEnd: far })),
            short: await words(enhanceSamples([x], 48000, binaries, { farEnd: far.subarray(1) })),
            missing: await words(load({ farEnd: true, base: "nowhere/" })),
        };
        await context.close();
        return result;
    }, isReal);
    assert.equal(found.differing, 0);
    assert.ok(found.length && found.state === "running" && found.refusedHops === 0);
    assert.match(found.refused, /PercepNetError: this stream has no far end/);
    assert.match(found.node, /PercepNetError: these binaries have no far end: load them with/);
    assert.match(found.recording, /PercepNetError: these binaries have no far end/);
    assert.match(found.short, /PercepNetError: a far end of \d+ samples: give \d+/);
    assert.match(found.missing, /PercepNetError: .*percepnet-echo.*\.wasm answers 404: copy .* the package percepnet-echo/);
});

check("recordings: the length stays, nothing is delayed, and there is progress", async () => {
    const found = await page.evaluate(async () => {
        const x = await floats("microphone.f32");
        const seen = [];
        const binaries = await load();
        const start = performance.now();
        const [y] = await enhanceSamples([x], 48000, binaries, { onProgress: (done) => seen.push(done) });
        return {
            ms: performance.now() - start, seconds: x.length / 48000, differing: differing(y, await floats("enhanced.f32")),
            seen, intact: x.length > 0,
        };
    });
    assert.equal(found.differing, 0, "as Python makes it, to the bit");
    assert.ok(found.seen.length > 10 && found.seen.at(-1) === 1 && found.seen.every((done, i) => !i || done > found.seen[i - 1]));
    assert.ok(found.intact);
    console.log(`# a recording: ${((1000 * found.seconds) / found.ms).toFixed(0)} times real time`);
});

check("a WAV file by enhanceFile, stereo, and back to WAV", async () => {
    const found = await page.evaluate(async () => {
        const buffer = new AudioBuffer({ length: 48000, numberOfChannels: 2, sampleRate: 48000 });
        const x = (await floats("microphone.f32")).subarray(0, 48000);
        buffer.copyToChannel(x, 0);
        buffer.copyToChannel(x.map((sample) => -0.5 * sample), 1);
        const binaries = await load();
        const enhanced = await percepnet.enhanceFile(percepnet.toWav(buffer), binaries);
        const [left, right] = [enhanced.getChannelData(0), enhanced.getChannelData(1)];
        const image = left.reduce((most, sample, n) => Math.max(most, Math.abs(right[n] + 0.5 * sample)), 0);
        const bad = await words(percepnet.enhanceFile(new Blob(["no audio"]), binaries));
        const controller = new AbortController();
        const stopped = percepnet.enhanceFile(buffer, binaries, { signal: controller.signal });
        controller.abort();
        return { length: enhanced.length, image, bad, stopped: await words(stopped) };
    });
    assert.equal(found.length, 48000);
    assert.ok(found.image < 2e-3, "one decision for both channels");
    assert.match(found.bad, /PercepNetError: the file is no audio that this browser can decode/);
    assert.match(found.stopped, /AbortError/);
});

check("files that are not there, not whole, or of something else: words", async () => {
    const found = await page.evaluate(async () => ({
        missing: await words(load({ wasm: "nowhere.wasm" })),
        page: await words(load({ wasm: "index.html" })),
        cut: await words(load({ base: "/cut/dist/" })),
        wrong: await words(load({ wasm: `${BASE}worklet.js` })),
        model: await words(load({ model: `${BASE}percepnet.wasm` })),
        worklet: await words(load({ worklet: "nowhere.js" })),
        module: await words(addPercepNetModule(new OfflineAudioContext(1, 1, 48000), "nowhere.js")),
        binaries: await words((async () => new PercepNetNode(new AudioContext(), {}))()),
        none: await words(load({ model: [] })),
    }));
    assert.match(found.missing, /PercepNetError: .*nowhere\.wasm answers 404: copy the files/);
    assert.match(found.page, /PercepNetError: .*is a web page/);
    assert.match(found.cut, /PercepNetError: .*\.wasm .*cut short/);
    assert.match(found.wrong, /PercepNetError: .*no WebAssembly that runs here, or was cut short/);
    assert.match(found.model, /PercepNetError: .*percepnet\.wasm: /);
    assert.match(found.worklet, /PercepNetError: .*nowhere\.js cannot run as a worker/);
    assert.match(found.module, /PercepNetError: .*cannot be loaded as an audio worklet/);
    assert.match(found.binaries, /PercepNetError: binaries are what loadPercepNet resolves to/);
    assert.match(found.none, /PercepNetError: model is an empty list/);
});

check("binaries that were not awaited: words, wherever they are given", async () => {
    const found = await page.evaluate(async () => {
        const context = new AudioContext({ sampleRate: 48000 });
        await context.resume();
        const stream = await fileStream(context);
        const errors = [];
        const promised = load({ measure: false });
        const onerror = (error) => errors.push(`${error}`);
        const processed = await processStream(stream, promised, { context, onerror });
        const x = new Float32Array(480);
        const doors = [
            PercepNetNode.create(context, promised), PercepNetNode.create(context),
            enhanceSamples([x], 48000, promised), enhanceSamples([x], 48000, promised, { farEnd: x }),
        ];
        const said = [...errors, ...(await Promise.all(doors.map(words)))];
        await context.close();
        return { said, same: processed.stream === stream };
    });
    assert.equal(found.said.length, 5);
    found.said.forEach((said) => assert.match(said, /PercepNetError: binaries are what .*: await it first/));
    assert.ok(found.same, "the call goes on");
});

check("one download for several callers, each of whom may leave", async () => {
    const found = await page.evaluate(async () => {
        const file = (name, q) => `${BASE}${name}?${q}`;
        const at = (q) => ({ wasm: file("percepnet.wasm", q), model: file("small.safetensors", q), measure: false });
        const [first, later] = [new AbortController(), new AbortController()];
        const left = load({ ...at("shared"), signal: first.signal });
        const stays = load({ ...at("shared"), signal: later.signal });
        first.abort();
        const shared = [await words(left), (await stays).wasm.byteLength];
        // the same, of whom none stays
        const { fetch } = window;
        const signals = [];
        window.fetch = (address, options) => signals.push(options.signal) && fetch(address, options);
        const alone = load({ ...at("alone"), signal: later.signal });
        window.fetch = fetch;
        later.abort();
        const stopped = [await words(alone), signals.map((signal) => signal.aborted)];
        return { shared, stopped, again: (await load(at("alone"))).wasm.byteLength };
    });
    assert.match(found.shared[0], /AbortError/);
    assert.ok(found.shared[1] > 50_000 && found.again === found.shared[1]);
    assert.match(found.stopped[0], /AbortError/);
    assert.deepEqual(found.stopped[1], [true, true], "nobody waits for these any more");
});

check("a node that the audio thread has stopped: what is asked of it is refused", async () => {
    const found = await page.evaluate(async () => {
        const context = new AudioContext({ sampleRate: 48000 });
        await context.resume();
        await addPercepNetModule(context, DYING);
        const node = new PercepNetNode(context, await load({ measure: false }));
        const told = new Promise((resolve) => (node.onerror = (event) => resolve(event.detail.message)));
        const before = words(node.stats());
        node.connect(context.destination);
        const soon = (promise) => Promise.race([promise, wait(2).then(() => "no answer")]);
        const said = [await told, await soon(before), await soon(words(node.stats()))];
        await context.close();
        return { said, state: node.state };
    });
    assert.equal(found.state, "failed");
    found.said.forEach((said) => assert.match(said, /audio thread has stopped .*: make another one/));
    assert.match(found.said[2], /PercepNetError/);
});

check("limit, bypass, delay, stereo, two nodes, and the end of one", async () => {
    const found = await page.evaluate(async () => {
        const binaries = await load({ measure: false });
        const x = (await floats("microphone.f32")).subarray(0, 4 * 48000);
        const render = async (change, options = {}) => {
            const context = new OfflineAudioContext(1, x.length, 48000);
            const node = await PercepNetNode.create(context, binaries, options);
            await change(node, context);
            const buffer = new AudioBuffer({ length: x.length, sampleRate: 48000 });
            buffer.copyToChannel(x, 0);
            const source = new AudioBufferSourceNode(context, { buffer });
            source.connect(node).connect(context.destination);
            source.start();
            const late = Math.round(48000 * node.latency);
            return { y: (await context.startRendering()).getChannelData(0), late };
        };
        const loss = ({ y, late }) =>
            10 * Math.log10(power(x, 48000, 4 * 48000 - late) / power(y, 48000 + late, 4 * 48000));
        const off = await render(() => undefined, { enabled: false });
        const full = await render(() => undefined);
        const some = await render((node) => {
            node.attenuationLimit.value = 6;
        });
        const none = await render(() => undefined, { attenuationLimit: 0 });
        const context = new AudioContext();
        const [one, two] = [await PercepNetNode.create(context, binaries), await PercepNetNode.create(context, binaries, { channels: 2 })];
        one.close();
        const closed = await words(one.stats());
        const state = two.state;
        await context.close();
        const late = await words((async () => new PercepNetNode(context, binaries))());
        return {
            late: off.late, exact: differing(off.y.slice(off.late), x.slice(0, -off.late)), full: loss(full), some: loss(some),
            none: loss(none), closed, state, closedContext: late,
        };
    });
    assert.equal(found.late, 1888, "39.3 ms");
    assert.equal(found.exact, 0, "bypass is the input to the bit");
    assert.ok(found.full > found.some && found.some > 0.2, `${found.full} dB, ${found.some} dB`);
    assert.ok(found.none < 0.5 && found.none < found.some, `a limit of 0 dB leaves all but rumble: ${found.none} dB`);
    assert.match(found.closed, /PercepNetError: the node is closed/);
    assert.equal(found.state, "running");
    assert.match(found.closedContext, /PercepNetError: the context is closed/);
});

check("a device that cannot keep up: an event, and the input passes", async () => {
    const found = await page.evaluate(async () => {
        const context = new AudioContext({ sampleRate: 48000 });
        await context.resume();
        // nothing is fast enough for this limit
        const node = await PercepNetNode.create(context, await load(), { loadMax: 1e-9 });
        const told = new Promise((resolve) => (node.onoverload = (event) => resolve(event.detail)));
        const source = new MediaStreamAudioSourceNode(context, { mediaStream: await fileStream(context) });
        source.connect(node).connect(context.destination);
        const detail = await told;
        await wait(0.3);
        const [x, y] = await record(context, [source, node], 1);
        const late = Math.round(node.latency * 48000);
        const result = { detail, state: node.state, model: node.model, exact: differing(y.slice(late), x.slice(0, -late)) };
        await context.close();
        return result;
    });
    assert.equal(found.detail.model, null);
    assert.equal(found.state, "passing");
    assert.equal(found.exact, 0);
});

check("a stream: tracks that end, another microphone, and one that is no audio", async () => {
    const found = await page.evaluate(async (isReal) => {
        const context = new AudioContext({ sampleRate: 48000 });
        await context.resume();
        const binaries = await load();
        const stream = await microphone(context, isReal);
        const ends = [];
        const processed = await processStream(stream, binaries, { context, onended: () => ends.push("ended") });
        const track = processed.track;
        // as when a device is unplugged
        stream.getAudioTracks()[0].dispatchEvent(new Event("ended"));
        processed.replaceTrack((await microphone(context, isReal)).getAudioTracks()[0]);
        const same = processed.track === track && track.readyState === "live";
        await processed.destroy();
        await processed.destroy();
        const none = await words(processStream(new MediaStream(), binaries));
        const ended = await microphone(context, isReal);
        ended.getAudioTracks()[0].stop();
        const over = await words(processStream(ended, binaries));
        const again = await words((async () => processed.replaceTrack(track))());
        // binaries that are broken: the call goes on with what there is
        const errors = [];
        const source = await microphone(context, isReal);
        const broken = { ...binaries, wasm: binaries.wasm.slice(0, 999) };
        const unprocessed = await processStream(source, broken, { context, onerror: (error) => errors.push(error.message) });
        const kept = unprocessed.stream === source && unprocessed.node === null;
        await context.close();
        const closed = await processStream(source, binaries, { context, onerror: (error) => errors.push(error.message) });
        return { ends, same, none, over, again, kept, errors, keptToo: closed.stream === source };
    }, isReal);
    // Firefox gives tracks no events that a page has made
    assert.deepEqual(found.ends, isReal ? ["ended"] : []);
    assert.ok(found.same && found.kept && found.keptToo);
    assert.match(found.none, /no audio track/);
    assert.match(found.over, /has ended/);
    assert.match(found.again, /make the stream anew/);
    assert.match(found.errors[0], /cannot be compiled/);
    assert.match(found.errors[1], /context is closed/);
});

check("a microphone that is refused: words, and the one before goes on", async () => {
    const found = await page.evaluate(async () => {
        const context = new AudioContext({ sampleRate: 48000 });
        await context.resume();
        const processed = await processStream(await fileStream(context), await load(), { context });
        const [other] = (await fileStream(context)).getAudioTracks();
        // as some versions of Firefox do where its rate is another one
        context.createMediaStreamSource = () => {
            throw new DOMException("another rate", "NotSupportedError");
        };
        const refused = await words((async () => processed.replaceTrack(other))());
        const [y] = await record(context, [processed.node], 1);
        const result = { refused, sound: power(y, 0, y.length), state: processed.node.state };
        await processed.destroy();
        await context.close();
        return result;
    });
    assert.match(found.refused, /PercepNetError: this microphone does not fit .*: make the stream anew/);
    assert.ok(found.sound > 1e-9 && found.state === "running");
});

check("LiveKit's processor keeps over restarts what it was set to", async () => {
    const found = await page.evaluate(async () => {
        const audioContext = new AudioContext({ sampleRate: 48000 });
        await audioContext.resume();
        const [track] = (await fileStream(audioContext)).getAudioTracks();
        const processor = new PercepNetTrackProcessor(await load());
        const ofNode = (node) => node && [node.enabled, node.attenuationLimit.value];
        const settings = () => [processor.enabled, ofNode(processor.node)];
        const found = [settings()];
        processor.enabled = false;
        await processor.init({ kind: "audio", track, audioContext });
        found.push(settings());
        processor.node.attenuationLimit.value = 12;
        await processor.restart({ kind: "audio", track, audioContext });
        found.push(settings());
        const restarted = processor.restart({ kind: "audio", track, audioContext });
        processor.enabled = true;
        await restarted;
        found.push(settings());
        await processor.destroy();
        await audioContext.close();
        return found;
    });
    assert.deepEqual(found, [[true, null], [false, [false, 100]], [false, [false, 12]], [true, [true, 12]]]);
});

check("LiveKit's and Twilio's ways", async () => {
    const found = await page.evaluate(async (isReal) => {
        const audioContext = new AudioContext({ sampleRate: 48000 });
        await audioContext.resume();
        const binaries = await load();
        const track = (await microphone(audioContext, isReal)).getAudioTracks()[0];
        const processor = new PercepNetTrackProcessor(await load({ farEnd: true }), { farEnd: true });
        processor.setFarEnd(await fileStream(audioContext));
        await processor.init({ kind: "audio", track, audioContext });
        const first = processor.processedTrack;
        await processor.init({ kind: "audio", track, audioContext });
        const second = processor.processedTrack;
        await processor.restart({ kind: "audio", track, audioContext });
        processor.enabled = false;
        const third = processor.processedTrack;
        const live = third.readyState;
        await processor.destroy();
        const twilio = new PercepNetAudioProcessor(binaries, { context: audioContext });
        const stream = await microphone(audioContext, isReal);
        const made = await twilio.createProcessedStream(stream);
        const tracks = made.getAudioTracks().length;
        await twilio.destroyProcessedStream(made);
        const result = {
            name: processor.name, states: [first.readyState, second.readyState, live, third.readyState, track.readyState],
            gone: processor.processedTrack === undefined, tracks, other: made !== stream, context: audioContext.state,
        };
        await audioContext.close();
        return result;
    }, isReal);
    assert.equal(found.name, "percepnet");
    assert.deepEqual(found.states, ["ended", "ended", "live", "ended", "live"]);
    assert.ok(found.gone && found.tracks === 1 && found.other && found.context === "running");
});

check("without leave to compile WebAssembly: words, and the microphone as it is", async () => {
    const strict = await open(started.browser, `${host.at}/strict/pages/index.html`);
    const found = await strict.page.evaluate(async (isReal) => {
        const errors = [];
        const context = new AudioContext({ sampleRate: 48000 });
        await context.resume();
        const measured = await words(load());
        const binaries = await load({ measure: false });
        const source = await microphone(context, isReal);
        const processed = await processStream(source, binaries, { context, onerror: (error) => errors.push(error.message) });
        await addPercepNetModule(context, binaries.worklet);
        const node = new PercepNetNode(context, binaries);
        const told = await new Promise((resolve) => (node.onerror = (event) => resolve(event.detail.message)));
        const from = new MediaStreamAudioSourceNode(context, { mediaStream: await fileStream(context) });
        from.connect(node);
        const [x, y] = await record(context, [from, node], 0.5);
        const sound = power(x, 4800, x.length);
        const result = { errors, measured, same: processed.stream === source, told, exact: differing(x, y), sound, state: node.state };
        await context.close();
        return result;
    }, isReal);
    await strict.page.close();
    assert.match(found.errors[0], /wasm-unsafe-eval/);
    assert.match(found.measured, /wasm-unsafe-eval/);
    assert.match(found.told, /wasm-unsafe-eval/);
    assert.ok(found.same && found.state === "failed");
    assert.ok(found.sound > 1e-9);
    assert.equal(found.exact, 0, "the input passes through a node that failed");
});

for (const rate of [48000, 44100]) {
    check(`a call of two peers at ${rate} Hz: noise goes down as in Python, delay as reported`, async (t) => {
        let found, wrong;
        for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
            found = await page.evaluate((given) => call(given), { isReal, seconds: CALL_S, rate });
            assert.equal(found.error, undefined);
            assert.equal(found.rate, rate);
            wrong = wrongInCall(found);
            console.log(`# ${rate} Hz: ${said(found)}`);
            if (!wrong) {
                return;
            }
        }
        // a call that has to wait for a processor loses sound, and its noise is that of what was made up for it
        if (os.loadavg()[0] > BUSY * os.cpus().length) {
            t.skip(`this computer was too busy for a call: ${wrong}`);
            return;
        }
        assert.fail(wrong);
    });
}

function wrongInCall({ down, expected, measuredLatency, latency }) {
    if (Math.abs(down - expected) >= 1) {
        return `${down} dB in the call, ${expected} dB in Python`;
    }
    return Math.abs(measuredLatency - latency) < 0.005 ? "" : `${1000 * measuredLatency} ms, not ${1000 * latency}`;
}

function said({ down, downSent, expected, measuredLatency, latency, concealed, total }) {
    return (
        `noise down ${down.toFixed(2)} dB (${downSent.toFixed(2)} dB before the network), Python ${expected.toFixed(2)} dB; ` +
        `delay ${(1000 * measuredLatency).toFixed(2)} ms, reported ${(1000 * latency).toFixed(2)} ms; ` +
        `concealed ${concealed} of ${total} samples`
    );
}

check("nothing unexpected was complained of", () => {
    const expected = /404|nowhere|CONTENT_LENGTH|this one dies|Content.Security|worklet\.js|percepnet\.wasm|NS_BINDING/i;
    const unexpected = complaints.filter((words) => !expected.test(words));
    assert.deepEqual(unexpected, []);
});
