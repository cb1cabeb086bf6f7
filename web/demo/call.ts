/** A call of two peers in one page. */

import { Binaries, ProcessedStream, processStream } from "../src/index.js";
import { complain, oneAtATime, part, powerOf, Switch } from "./dom.js";
import { LiveSource, openSource } from "./source.js";

const POLL_MS = 700;
const METER_FLOOR_DB = -70;

interface Call {
    source: LiveSource;
    processed: ProcessedStream;
    peers: [RTCPeerConnection, RTCPeerConnection];
    player: HTMLAudioElement;
    analysers: [AnalyserNode, AnalyserNode];
}

export class CallPanel {
    private call: Call | null = null;
    private readonly enabled: Switch;
    private last = { bytes: 0, time: 0, delay: 0, emitted: 0 };

    constructor(
        private readonly binaries: () => Promise<Binaries>,
        private readonly example: () => Promise<Blob>,
    ) {
        this.enabled = new Switch(part("call-off"), part("call-on"), (isOn) => {
            if (this.call) {
                this.call.processed.enabled = isOn;
            }
        });
        part("call-start").addEventListener("click", () => void this.toggle(false));
        part("call-example").addEventListener("click", () => void this.toggle(true));
        part<HTMLInputElement>("call-listen").addEventListener("change", () => this.listen());
    }

    private readonly toggle = oneAtATime(async (isExample: boolean) => {
        try {
            await (this.call ? this.stop() : this.start(isExample));
        } catch (refused) {
            complain(refused instanceof Error ? refused.message : String(refused));
        }
    });

    private async start(isExample: boolean): Promise<void> {
        const binaries = await this.binaries();
        const source = await openSource(isExample, this.example);
        try {
            this.call = await this.dial(source, binaries);
        } finally {
            if (!this.call) {
                await source.end();
            }
        }
        this.call.processed.enabled = this.enabled.isOn;
        part<HTMLInputElement>("call-listen").checked = isExample;
        this.listen();
        await this.call.player.play().catch(() => undefined);
        part("call-start").textContent = "Hang up";
        part("call-example").hidden = true;
        part("call-wire").classList.add("on");
        this.last = { bytes: 0, time: 0, delay: 0, emitted: 0 };
        this.follow();
        void this.poll();
    }

    private async dial(source: LiveSource, binaries: Binaries): Promise<Call> {
        const { context } = source;
        const processed = await processStream(source.stream, binaries, {
            context,
            onerror: (error) => complain(`${error.message}: the call goes on unprocessed.`),
        });
        const { peers, remote } = await connect(processed.stream);
        const player = new Audio();
        player.srcObject = remote;
        const analysers: Call["analysers"] = [new AnalyserNode(context), new AnalyserNode(context)];
        [source.stream, remote].forEach((mediaStream, i) =>
            new MediaStreamAudioSourceNode(context, { mediaStream }).connect(analysers[i]!));
        return { source, processed, peers, player, analysers };
    }

    private listen(): void {
        if (this.call) {
            this.call.player.muted = !part<HTMLInputElement>("call-listen").checked;
        }
    }

    private follow(): void {
        if (!this.call) {
            return;
        }
        const samples = new Float32Array(2048);
        ["call-meter-a", "call-meter-b"].forEach((id, i) => {
            this.call!.analysers[i]!.getFloatTimeDomainData(samples);
            const level = 10 * Math.log10(powerOf(samples) + 1e-12);
            part(id).style.transform = `scaleX(${Math.max(0, Math.min(1, 1 - level / METER_FLOOR_DB))})`;
        });
        requestAnimationFrame(() => this.follow());
    }

    private async poll(): Promise<void> {
        while (this.call) {
            const { peers, processed } = this.call;
            const reports = [...(await peers[1].getStats()).values()] as Record<string, number | string>[];
            const inbound = reports.find((report) => report["type"] === "inbound-rtp");
            if (inbound) {
                this.show(inbound as Record<string, number>);
            }
            part("call-delay").textContent = `${(1000 * processed.latency).toFixed(1)} ms`;
            await new Promise((resolve) => setTimeout(resolve, POLL_MS));
        }
    }

    private show(inbound: Record<string, number>): void {
        const now = {
            bytes: inbound["bytesReceived"] ?? 0, time: inbound["timestamp"] ?? 0,
            delay: inbound["jitterBufferDelay"] ?? 0, emitted: inbound["jitterBufferEmittedCount"] ?? 0,
        };
        const { last } = this;
        if (last.time && now.time > last.time) {
            part("call-rate").textContent = `${Math.round((8 * (now.bytes - last.bytes)) / (now.time - last.time))} kbit/s`;
        }
        if (now.emitted > last.emitted) {
            part("call-jitter").textContent = `${Math.round((1000 * (now.delay - last.delay)) / (now.emitted - last.emitted))} ms`;
        }
        part("call-lost").textContent = `${inbound["packetsLost"] ?? 0} packets`;
        this.last = now;
    }

    private async stop(): Promise<void> {
        const { call } = this;
        this.call = null;
        part("call-start").textContent = "Call with the microphone";
        part("call-example").hidden = false;
        part("call-wire").classList.remove("on");
        for (const id of ["call-meter-a", "call-meter-b"]) {
            part(id).style.transform = "";
        }
        if (call) {
            call.player.srcObject = null;
            call.peers.forEach((peer) => peer.close());
            await call.processed.destroy();
            await call.source.end();
        }
    }
}

async function connect(stream: MediaStream): Promise<{ peers: Call["peers"]; remote: MediaStream }> {
    const [a, b]: Call["peers"] = [new RTCPeerConnection(), new RTCPeerConnection()];
    a.onicecandidate = (event) => void b.addIceCandidate(event.candidate ?? undefined).catch(() => undefined);
    b.onicecandidate = (event) => void a.addIceCandidate(event.candidate ?? undefined).catch(() => undefined);
    const heard = new Promise<MediaStream>((resolve) => {
        b.ontrack = (event) => resolve(event.streams[0] ?? new MediaStream([event.track]));
    });
    stream.getAudioTracks().forEach((track) => a.addTrack(track, stream));
    await a.setLocalDescription();
    await b.setRemoteDescription(a.localDescription!);
    await b.setLocalDescription();
    await a.setRemoteDescription(b.localDescription!);
    return { peers: [a, b], remote: await heard };
}
