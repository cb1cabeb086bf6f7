/** A recording, before and after: both play at once, and one of them is heard. */

import { Binaries, enhanceFile, toWav } from "../src/index.js";
import { complain, part, Switch } from "./dom.js";
import { drawSpectrogram } from "./spectrogram.js";

const FADE_S = 0.008;

export class RecordingPanel {
    private buffers: { before: AudioBuffer; after: AudioBuffer } | null = null;
    private context: AudioContext | null = null;
    private voices: { source: AudioBufferSourceNode; gain: GainNode }[] = [];
    private startedAt = 0;
    private position = 0;
    private isPlaying = false;
    private address = "";
    private readonly heard: Switch;
    private readonly canvases = [...part("recording-pair").querySelectorAll("canvas")];
    private readonly figures = [...part("recording-pair").querySelectorAll("figure")];

    constructor(private readonly binaries: () => Promise<Binaries>) {
        this.heard = new Switch(part("recording-before"), part("recording-after"), () => this.hear());
        part("recording-play").addEventListener("click", () => void this.toggle());
        const chooser = part<HTMLInputElement>("recording-file");
        chooser.addEventListener("change", () => {
            const file = chooser.files?.[0];
            chooser.value = "";
            if (file) {
                void this.open(file, file.name);
            }
        });
        this.canvases.forEach((canvas, i) => {
            canvas.addEventListener("click", (event) => {
                const box = canvas.getBoundingClientRect();
                this.heard.set(i === 1);
                this.seek(((event.clientX - box.left) / box.width) * (this.buffers?.before.duration ?? 0));
            });
        });
        const redraw = () => this.draw();
        addEventListener("resize", redraw);
        matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
        this.hear();
    }

    toggleHeard(): void {
        this.heard.toggle();
    }

    /** Clean a recording, show it, and have it ready to be played. Resolves to how many times real time that went. */
    async open(file: Blob, name: string, title = name): Promise<number> {
        this.stop();
        const progress = part("recording-progress");
        const bar = progress.firstElementChild as HTMLElement;
        const about = part("recording-about");
        progress.hidden = false;
        bar.style.width = "0";
        about.textContent = `Cleaning ${title} …`;
        try {
            const binaries = await this.binaries();
            const before = await new OfflineAudioContext(1, 1, 48000).decodeAudioData(await file.arrayBuffer()).catch(() => {
                throw new Error(`${name} is no audio that this browser can decode`);
            });
            const start = performance.now();
            const after = await enhanceFile(before, binaries, {
                onProgress: (done) => (bar.style.width = `${100 * done}%`),
            });
            const seconds = (performance.now() - start) / 1000;
            this.buffers = { before, after };
            this.position = 0;
            this.draw();
            this.offer(after, name);
            const speed = before.duration / seconds;
            about.textContent =
                `${title}: ${before.duration.toFixed(1)} s, cleaned on this device in ${seconds.toFixed(2)} s.`;
            part<HTMLButtonElement>("recording-play").disabled = false;
            return speed;
        } catch (refused) {
            about.textContent = refused instanceof Error ? `${refused.message}.` : String(refused);
            complain(about.textContent);
            return 0;
        } finally {
            progress.hidden = true;
        }
    }

    private offer(after: AudioBuffer, name: string): void {
        URL.revokeObjectURL(this.address);
        this.address = URL.createObjectURL(toWav(after));
        const link = part<HTMLAnchorElement>("recording-save");
        link.href = this.address;
        link.download = `${name.replace(/\.[^.]*$/, "")}-clean.wav`;
        link.hidden = false;
    }

    private draw(): void {
        if (!this.buffers) {
            return;
        }
        const both = [this.buffers.before, this.buffers.after];
        this.canvases.forEach((canvas, i) => drawSpectrogram(canvas, both[i]!.getChannelData(0), both[i]!.sampleRate));
        this.drawPosition();
    }

    private drawPosition(): void {
        const share = this.now() / (this.buffers?.before.duration ?? 1);
        part("recording-head").hidden = !(share > 0);
        part("recording-head").style.left = `${100 * Math.min(1, share)}%`;
    }

    private now(): number {
        return this.isPlaying && this.context ? this.context.currentTime - this.startedAt : this.position;
    }

    private hear(): void {
        this.figures.forEach((figure, i) => figure.classList.toggle("heard", (i === 1) === this.heard.isOn));
        this.voices.forEach(({ gain }, i) => {
            gain.gain.setTargetAtTime((i === 1) === this.heard.isOn ? 1 : 0, this.context!.currentTime, FADE_S);
        });
    }

    private async toggle(): Promise<void> {
        if (this.isPlaying) {
            this.pause();
        } else {
            await this.play();
        }
    }

    private async play(): Promise<void> {
        if (!this.buffers) {
            return;
        }
        this.context ??= new AudioContext({ sampleRate: 48000 });
        await this.context.resume();
        const context = this.context;
        const begin = context.currentTime + 0.03;
        this.voices = [this.buffers.before, this.buffers.after].map((buffer, i) => {
            const source = new AudioBufferSourceNode(context, { buffer });
            const gain = new GainNode(context, { gain: (i === 1) === this.heard.isOn ? 1 : 0 });
            source.connect(gain).connect(context.destination);
            source.start(begin, this.position);
            return { source, gain };
        });
        this.startedAt = begin - this.position;
        this.isPlaying = true;
        part("recording-play").textContent = "Pause";
        this.voices[0]!.source.onended = () => {
            if (this.isPlaying && this.now() >= this.buffers!.before.duration - 0.05) {
                this.stop();
            }
        };
        this.follow();
    }

    private follow(): void {
        if (this.isPlaying) {
            this.drawPosition();
            requestAnimationFrame(() => this.follow());
        }
    }

    private pause(): void {
        this.position = this.now();
        this.isPlaying = false;
        this.voices.forEach(({ source }) => {
            source.onended = null;
            source.stop();
        });
        this.voices = [];
        part("recording-play").textContent = "Play";
        this.drawPosition();
    }

    private stop(): void {
        if (this.isPlaying) {
            this.pause();
        }
        this.position = 0;
        this.drawPosition();
    }

    private seek(seconds: number): void {
        const goesOn = this.isPlaying;
        if (goesOn) {
            this.pause();
        }
        this.position = seconds;
        this.drawPosition();
        if (goesOn) {
            void this.play();
        }
    }
}
