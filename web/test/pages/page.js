// What tests do in a page. All results are plain data.

import * as percepnet from "../dist/index.js";
import { PercepNetTrackProcessor } from "../dist/adapters/livekit.js";
import { PercepNetAudioProcessor } from "../dist/adapters/twilio.js";
import { differing } from "./differing.js";

const { addPercepNetModule, enhanceSamples, loadPercepNet, PercepNetNode, processStream } = percepnet;
const BASE = new URL("../dist/", import.meta.url).href;
const DYING = new URL("dying.js", import.meta.url).href;
const RECORDER = new URL("recorder.js", import.meta.url).href;
const QUIET = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
const wait = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
const floats = async (name) => new Float32Array(await (await fetch(`../reference/${name}`)).arrayBuffer());

const power = (x, from, to) => {
    let sum = 0;
    for (let n = from; n < to; n++) {
        sum += x[n] * x[n];
    }
    return sum / (to - from);
};

/** Words of what was thrown; fails if nothing is. */
async function words(promise) {
    try {
        await promise;
    } catch (error) {
        return `${error.name}: ${error.message}`;
    }
    return "nothing was wrong";
}

const load = (options = {}) => loadPercepNet({ base: BASE, ...options });

/** The native core's bits, through a worklet. */
async function bits(rate, binary) {
    const wasm = binary && new URL(binary, BASE).href;
    const binaries = await load({ measure: false, ...(wasm ? { wasm } : {}) });
    const [x, expected] = [await floats(`x_${rate}.f32`), await floats(`y_${rate}.f32`)];
    const context = new OfflineAudioContext(1, x.length, rate);
    const node = await PercepNetNode.create(context, binaries);
    const buffer = new AudioBuffer({ length: x.length, sampleRate: rate });
    buffer.copyToChannel(x, 0);
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(node).connect(context.destination);
    source.start();
    const start = performance.now();
    const y = (await context.startRendering()).getChannelData(0);
    const hopMs = (performance.now() - start) / (x.length / (rate / 100));
    return { differing: differing(y, expected), hopMs, kernel: node.kernel, latency: node.latency, seconds: x.length / rate };
}

/** The same with a second input; and whether a node that nothing plays into is one without. */
async function farBits(rate, binary) {
    const binaries = await load({ measure: false, farEnd: true, wasm: new URL(binary, BASE).href });
    const [x, far, expected] = await Promise.all(["near", "far", "z"].map((name) => floats(`${name}_${rate}.f32`)));
    const render = async (options, played) => {
        const context = new OfflineAudioContext(1, x.length, rate);
        const node = await PercepNetNode.create(context, binaries, options);
        [x, ...(played ? [played] : [])].forEach((samples, input) => {
            const buffer = new AudioBuffer({ length: samples.length, sampleRate: rate });
            buffer.copyToChannel(samples, 0);
            const source = new AudioBufferSourceNode(context, { buffer });
            source.connect(node, 0, input);
            source.start();
        });
        node.connect(context.destination);
        return { y: (await context.startRendering()).getChannelData(0), inputs: node.numberOfInputs };
    };
    const [heard, alone, plain] = [await render({ farEnd: true }, far), await render({ farEnd: true }), await render({})];
    const silent = await render({ farEnd: true }, new Float32Array(x.length));
    return {
        differing: differing(heard.y, expected), unconnected: differing(alone.y, plain.y), silent: differing(silent.y, plain.y),
        heard: differing(heard.y, plain.y), inputs: [heard.inputs, plain.inputs],
    };
}

/** A MediaStream from a file, where the browser has no microphone of that kind. */
async function fileStream(context) {
    const samples = await floats("microphone.f32");
    const buffer = new AudioBuffer({ length: samples.length, sampleRate: 48000 });
    buffer.copyToChannel(samples, 0);
    const source = new AudioBufferSourceNode(context, { buffer, loop: true });
    const destination = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
    source.connect(destination);
    source.start();
    return destination.stream;
}

async function microphone(context, isReal) {
    return isReal ? navigator.mediaDevices.getUserMedia({ audio: QUIET }) : fileStream(context);
}

/** Both streams, sample by sample, as one context hears them. */
async function record(context, nodes, seconds) {
    await context.audioWorklet.addModule(RECORDER);
    const merger = new ChannelMergerNode(context, { numberOfInputs: nodes.length });
    nodes.forEach((node, i) => node.connect(merger, 0, i));
    const recorder = new AudioWorkletNode(context, "recorder", {
        numberOfOutputs: 0,
        processorOptions: { seconds, channels: nodes.length },
    });
    merger.connect(recorder);
    const channels = await new Promise((resolve) => {
        recorder.port.onmessage = (event) => resolve(event.data);
    });
    merger.disconnect();
    return channels;
}

/** By how many samples b is later than a: where their products add up most. */
function delayOf(first, second, most) {
    // what is high is what tells times apart
    const [a, b] = [first, second].map((x) => x.map((sample, n) => sample - 2 * (x[n - 1] ?? 0) + (x[n - 2] ?? 0)));
    let best = 0;
    let at = 0;
    for (let lag = 0; lag < most; lag++) {
        let sum = 0;
        for (let n = 0; n + most < a.length; n += 1) {
            sum += a[n] * b[n + lag];
        }
        if (sum > best) {
            best = sum;
            at = lag;
        }
    }
    return at;
}

/** Mean power of the quieter frames, in dB: what is left between words. */
function noiseLevel(x, rate) {
    const frame = Math.round(0.02 * rate);
    const powers = [];
    for (let at = 0; at + frame <= x.length; at += frame) {
        powers.push(power(x, at, at + frame));
    }
    const quieter = powers.sort((a, b) => a - b).slice(0, Math.round(0.4 * powers.length));
    return 10 * Math.log10(quieter.reduce((sum, each) => sum + each, 1e-20) / quieter.length);
}

/** A call of two peers in this page, over WebRTC and Opus; resolves to what the other one hears. */
async function callWith(stream) {
    const [a, b] = [new RTCPeerConnection(), new RTCPeerConnection()];
    a.onicecandidate = (event) => b.addIceCandidate(event.candidate);
    b.onicecandidate = (event) => a.addIceCandidate(event.candidate);
    const heard = new Promise((resolve) => {
        b.ontrack = (event) => resolve(event.streams[0] ?? new MediaStream([event.track]));
    });
    stream.getAudioTracks().forEach((track) => a.addTrack(track, stream));
    const offer = await a.createOffer();
    // music's rate, so that what Opus itself takes of quiet noise is no part of the result
    const sdp = offer.sdp.replace(/(a=fmtp:\d+ [^\r\n]*useinbandfec=1)/g, "$1;maxaveragebitrate=256000;cbr=1");
    await a.setLocalDescription({ type: "offer", sdp });
    await b.setRemoteDescription(a.localDescription);
    const answer = await b.createAnswer();
    const answered = answer.sdp.replace(/(a=fmtp:\d+ [^\r\n]*useinbandfec=1)/g, "$1;maxaveragebitrate=256000;cbr=1");
    await b.setLocalDescription({ type: "answer", sdp: answered });
    await a.setRemoteDescription(b.localDescription);
    const remote = await heard;
    // Chromium decodes only what something plays
    const player = new Audio();
    player.muted = true;
    player.srcObject = remote;
    await player.play().catch(() => undefined);
    return { remote, end: () => [a, b].forEach((peer) => peer.close()), b };
}

/** Microphone, enhanced, over a call: levels of what is said, sent and heard, and delays. */
async function call({ isReal, seconds, rate = 48000 }) {
    const context = new AudioContext({ sampleRate: rate });
    await context.resume();
    const stream = await microphone(context, isReal);
    const binaries = await load();
    const processed = await processStream(stream, binaries, { context });
    if (processed.error) {
        return { error: processed.error.message };
    }
    const { remote, end, b } = await callWith(processed.stream);
    const nodes = [stream, processed.stream, remote].map((each) => new MediaStreamAudioSourceNode(context, { mediaStream: each }));
    await wait(2);
    // two sources of one stream need not be equally late: the delay is that of a node between its own two ends
    const direct = await PercepNetNode.create(context, binaries);
    nodes[0].connect(direct);
    const [x, sent, heard, inside] = await record(context, [...nodes, direct], seconds);
    const [enhanced] = await enhanceSamples([x], rate, binaries);
    const stats = await processed.node.stats();
    const received = [...(await b.getStats()).values()].find((each) => each.type === "inbound-rtp");
    const result = {
        rate: context.sampleRate,
        latency: processed.latency,
        measuredLatency: delayOf(x.subarray(0, 2 * rate), inside.subarray(0, 2 * rate), Math.round(0.1 * rate)) / rate,
        transport: delayOf(sent.subarray(0, 2 * rate), heard.subarray(0, 2 * rate), Math.round(0.5 * rate)) / rate,
        down: noiseLevel(x, rate) - noiseLevel(heard, rate),
        downSent: noiseLevel(x, rate) - noiseLevel(sent, rate),
        // the bits of Python, as another test finds
        expected: noiseLevel(x, rate) - noiseLevel(enhanced, rate),
        stats,
        concealed: received.concealedSamples,
        total: received.totalSamplesReceived,
    };
    end();
    await processed.destroy();
    await context.close();
    return result;
}

Object.assign(window, {
    percepnet, addPercepNetModule, enhanceSamples, loadPercepNet, PercepNetNode, processStream, PercepNetTrackProcessor,
    PercepNetAudioProcessor, BASE, DYING, load, words, bits, farBits, call, callWith, fileStream, microphone, record,
    wait, floats, power, differing, delayOf, isReady: true,
});
