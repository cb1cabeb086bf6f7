/** The microphone, live: spectrograms of what goes in and comes out. */

import { Binaries, PercepNetNode, ProcessedStream, processStream } from "../src/index.js";
import { complain, decibels, oneAtATime, part, powerOf, Switch } from "./dom.js";
import { LiveSource, openSource } from "./source.js";
import { LiveSpectrogram } from "./spectrogram.js";

const NONE_DB = 60;
const LIMIT_NONE = 100;
const POLL_MS = 400;
const PIXELS_PER_S = 110;

interface Running {
    source: LiveSource;
    processed: ProcessedStream;
    monitor: GainNode;
    analysers: [AnalyserNode, AnalyserNode];
    pictures: [LiveSpectrogram, LiveSpectrogram];
}

export class LivePanel {
    private running: Running | null = null;
    private readonly enabled: Switch;
    private readonly canvases = [...part("microphone-pair").querySelectorAll("canvas")];
    private drawnMs = 0;
    private lastStats = { spentMs: 0, seconds: 0 };

    constructor(
        private readonly binaries: () => Promise<Binaries>,
        private readonly example: () => Promise<Blob>,
    ) {
        this.enabled = new Switch(part("microphone-off"), part("microphone-on"), (isOn) => {
            if (this.running) {
                this.running.processed.enabled = isOn;
            }
            this.mark();
        });
        part("microphone-start").addEventListener("click", () => void this.toggle(false));
        part("microphone-example").addEventListener("click", () => void this.toggle(true));
        part<HTMLInputElement>("microphone-listen").addEventListener("change", () => this.listen());
        part<HTMLInputElement>("microphone-limit").addEventListener("input", () => this.limit());
        this.mark();
    }

    get isRunning(): boolean {
        return this.running !== null;
    }

    toggleEnabled(): void {
        this.enabled.toggle();
    }

    private mark(): void {
        const out = part("microphone-pair").querySelectorAll("figure")[1]!;
        out.classList.toggle("heard", this.enabled.isOn);
    }

    private readonly toggle = oneAtATime(async (isExample: boolean) => {
        if (this.running) {
            await this.stop();
            return;
        }
        try {
            await this.start(isExample);
        } catch (refused) {
            part("microphone-about").textContent = refused instanceof Error ? refused.message : String(refused);
        }
    });

    private async start(isExample: boolean): Promise<void> {
        const binaries = await this.binaries();
        const source = await openSource(isExample, this.example);
        try {
            this.running = await this.run(source, binaries);
        } finally {
            if (!this.running) {
                await source.end();
            }
        }
        if (!this.running) {
            return;
        }
        this.running.processed.enabled = this.enabled.isOn;
        part<HTMLInputElement>("microphone-listen").checked = isExample;
        this.listen();
        this.limit();
        part("microphone-about").textContent =
            isExample ? "The example, over and over." : "Speak. Nothing is sent anywhere.";
        part("microphone-start").textContent = "Stop";
        part("microphone-example").hidden = true;
        this.lastStats = { spentMs: 0, seconds: 0 };
        this.follow();
        void this.poll();
    }

    /** null: it cannot be processed, and the page has said why. */
    private async run(source: LiveSource, binaries: Binaries): Promise<Running | null> {
        const about = part("microphone-about");
        const processed = await processStream(source.stream, binaries, {
            context: source.context,
            speechProbability: true,
            onerror: (error) => complain(`${error.message}: the sound passes unprocessed.`),
            onended: () => void this.stop().then(() => (about.textContent = "The microphone was unplugged.")),
        });
        const { node } = processed;
        if (!node) {
            return null;
        }
        node.onoverload = (event) => {
            about.textContent = event.detail.model
                ? `This device is busy: ${event.detail.model} goes on.`
                : "This device cannot keep up: the sound passes unprocessed, and it is tried again soon.";
        };
        node.onrecovered = () => (about.textContent = "It keeps up again.");
        node.onspeechprobability = (event) => {
            part("live-speech-box").hidden = false;
            part("live-speech").textContent = `${Math.round(100 * event.detail.probability)} %`;
        };
        return this.connect(source, processed, node);
    }

    private connect(source: LiveSource, processed: ProcessedStream, node: PercepNetNode): Running {
        const { context } = source;
        const input = new MediaStreamAudioSourceNode(context, { mediaStream: source.stream });
        const analysers: Running["analysers"] = [new AnalyserNode(context), new AnalyserNode(context)];
        const monitor = new GainNode(context, { gain: 0 });
        input.connect(analysers[0]);
        node.connect(analysers[1]).connect(monitor).connect(context.destination);
        const pictures: Running["pictures"] = [
            new LiveSpectrogram(this.canvases[0]!, analysers[0]),
            new LiveSpectrogram(this.canvases[1]!, analysers[1]),
        ];
        return { source, processed, monitor, analysers, pictures };
    }

    private listen(): void {
        const { running } = this;
        running?.monitor.gain.setTargetAtTime(
            Number(part<HTMLInputElement>("microphone-listen").checked), running.source.context.currentTime, 0.02,
        );
    }

    private limit(): void {
        const value = Number(part<HTMLInputElement>("microphone-limit").value);
        part("microphone-limit-value").textContent = value >= NONE_DB ? "none" : `${value} dB`;
        const limit = this.running?.processed.node?.attenuationLimit;
        if (limit) {
            limit.value = value >= NONE_DB ? LIMIT_NONE : value;
        }
    }

    private follow(): void {
        if (this.running) {
            const now = performance.now();
            const pixels = Math.floor(((now - this.drawnMs) / 1000) * PIXELS_PER_S);
            if (pixels > 0) {
                this.drawnMs = pixels > PIXELS_PER_S ? now : this.drawnMs + (1000 * pixels) / PIXELS_PER_S;
                this.running.pictures.forEach((picture) => picture.draw(Math.min(pixels, PIXELS_PER_S)));
            }
            requestAnimationFrame(() => this.follow());
        }
    }

    private async poll(): Promise<void> {
        const samples = new Float32Array(2048);
        while (this.running) {
            const { processed, analysers } = this.running;
            const stats = await processed.node!.stats().catch(() => null);
            if (!stats || !this.running) {
                return;
            }
            const load = (stats.spentMs - this.lastStats.spentMs) / (1000 * (stats.seconds - this.lastStats.seconds) || 1);
            this.lastStats = stats;
            part("live-load").textContent = stats.model ? `${(100 * load).toFixed(1)} %` : "passing";
            part("live-delay").textContent = `${(1000 * processed.latency).toFixed(1)} ms`;
            [part("live-in"), part("live-out")].forEach((box, i) => {
                analysers[i]!.getFloatTimeDomainData(samples);
                box.textContent = decibels(powerOf(samples));
            });
            await new Promise((resolve) => setTimeout(resolve, POLL_MS));
        }
    }

    private async stop(): Promise<void> {
        const { running } = this;
        this.running = null;
        part("microphone-start").textContent = "Start the microphone";
        part("microphone-example").hidden = false;
        for (const id of ["live-load", "live-delay", "live-in", "live-out", "live-speech"]) {
            part(id).textContent = "–";
        }
        if (running) {
            await running.processed.destroy();
            await running.source.end();
        }
    }
}
