/** Spectrograms on canvases, live and whole, in the colours of the page's theme. */

const FLOOR_DB = -100;
const TOP_DB = -30;
const LOW_HZ = 60;
const HIGH_HZ = 16000;
const WINDOW = 2048;
const COLOURS = 256;

/** The theme's colours from quiet to loud, as 0xAABBGGRR. */
function colourMap(): Uint32Array {
    const stops = getComputedStyle(document.documentElement).getPropertyValue("--map").split(",").map(rgbOf);
    return Uint32Array.from({ length: COLOURS }, (_, i) => {
        const at = (i / (COLOURS - 1)) * (stops.length - 1);
        const low = Math.min(Math.floor(at), stops.length - 2);
        const [r, g, b] = stops[low]!.map((from, c) => Math.round(from + (at - low) * (stops[low + 1]![c]! - from)));
        return (255 << 24) | (b! << 16) | (g! << 8) | r!;
    });
}

function rgbOf(hex: string): number[] {
    const value = parseInt(hex.trim().slice(1), 16);
    return [value >> 16, (value >> 8) & 255, value & 255];
}

/** Bins of the lowest and highest frequency of each row of pixels, from the top down: half linear, half logarithmic. */
function rowBins(rows: number, rateHz: number, bins: number): Float64Array {
    const warp = (hz: number) => Math.log(1 + hz / 700);
    const [low, high] = [warp(LOW_HZ), warp(Math.min(HIGH_HZ, rateHz / 2))];
    return Float64Array.from({ length: rows + 1 }, (_, row) => {
        const hz = 700 * (Math.exp(high + (row / rows) * (low - high)) - 1);
        return Math.min(bins - 1, (hz / rateHz) * 2 * bins);
    });
}

/** The loudest bin of each row, as a colour. */
function paintColumn(levels: Float32Array, edges: Float64Array, map: Uint32Array, to: Uint32Array, stride: number, at: number): void {
    for (let row = 0; row + 1 < edges.length; row++) {
        const [high, low] = [edges[row]!, edges[row + 1]!];
        let level = -Infinity;
        if (high - low < 1) {
            const bin = Math.floor(low);
            level = levels[bin]! + (low - bin) * ((levels[bin + 1] ?? levels[bin]!) - levels[bin]!);
        } else {
            for (let bin = Math.floor(low); bin <= high; bin++) {
                level = Math.max(level, levels[bin]!);
            }
        }
        const share = (level - FLOOR_DB) / (TOP_DB - FLOOR_DB);
        to[row * stride + at] = map[Math.max(0, Math.min(COLOURS - 1, Math.round(share * (COLOURS - 1))))]!;
    }
}

function fit(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
    const scale = Math.min(2, devicePixelRatio);
    const box = canvas.getBoundingClientRect();
    const [width, height] = [Math.max(1, Math.round(box.width * scale)), Math.max(1, Math.round(box.height * scale))];
    if (canvas.width !== width || canvas.height !== height) {
        canvas.width = width;
        canvas.height = height;
    }
    return canvas.getContext("2d", { alpha: false })!;
}

/** What an analyser hears, from right to left. */
export class LiveSpectrogram {
    private map = colourMap();
    private levels: Float32Array<ArrayBuffer>;
    private background = "";

    constructor(
        private readonly canvas: HTMLCanvasElement,
        private readonly analyser: AnalyserNode,
    ) {
        analyser.fftSize = WINDOW;
        analyser.smoothingTimeConstant = 0;
        this.levels = new Float32Array(analyser.frequencyBinCount);
        matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
            this.map = colourMap();
            this.clear();
        });
        this.clear();
    }

    clear(): void {
        const context = fit(this.canvas);
        const colour = this.map[0]!;
        this.background = `rgb(${colour & 255} ${(colour >> 8) & 255} ${(colour >> 16) & 255})`;
        context.fillStyle = this.background;
        context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    }

    draw(pixels: number): void {
        const before = { width: this.canvas.width, height: this.canvas.height };
        const context = fit(this.canvas);
        const { width, height } = this.canvas;
        if (width !== before.width || height !== before.height) {
            this.clear();
        }
        this.analyser.getFloatFrequencyData(this.levels);
        const edges = rowBins(height, this.analyser.context.sampleRate, this.levels.length);
        const image = context.createImageData(pixels, height);
        const to = new Uint32Array(image.data.buffer);
        paintColumn(this.levels, edges, this.map, to, pixels, 0);
        for (let row = 0; row < height; row++) {
            to.fill(to[row * pixels]!, row * pixels, (row + 1) * pixels);
        }
        context.drawImage(this.canvas, -pixels, 0);
        context.putImageData(image, width - pixels, 0);
    }
}

/** A whole recording. */
export function drawSpectrogram(canvas: HTMLCanvasElement, samples: Float32Array, rateHz: number): void {
    const context = fit(canvas);
    const { width, height } = canvas;
    const map = colourMap();
    const bins = WINDOW / 2;
    const edges = rowBins(height, rateHz, bins);
    const image = context.createImageData(width, height);
    const to = new Uint32Array(image.data.buffer);
    const transform = new Transform();
    const levels = new Float32Array(bins);
    for (let column = 0; column < width; column++) {
        transform.levels(samples, Math.round(((column + 0.5) / width) * samples.length) - WINDOW / 2, levels);
        paintColumn(levels, edges, map, to, width, column);
    }
    context.putImageData(image, 0, 0);
}

/** Levels of a window, in dB as an AnalyserNode has them. */
class Transform {
    private readonly re = new Float32Array(WINDOW);
    private readonly im = new Float32Array(WINDOW);
    private readonly window = Float32Array.from({ length: WINDOW }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (n + 0.5)) / WINDOW));
    private readonly cos = Float32Array.from({ length: WINDOW / 2 }, (_, k) => Math.cos((2 * Math.PI * k) / WINDOW));
    private readonly sin = Float32Array.from({ length: WINDOW / 2 }, (_, k) => -Math.sin((2 * Math.PI * k) / WINDOW));

    levels(samples: Float32Array, from: number, levels: Float32Array): void {
        const { re, im, window } = this;
        for (let n = 0, reversed = 0; n < WINDOW; n++) {
            re[reversed] = window[n]! * (samples[from + n] ?? 0);
            im[reversed] = 0;
            let bit = WINDOW >> 1;
            for (; reversed & bit; bit >>= 1) {
                reversed ^= bit;
            }
            reversed |= bit;
        }
        for (let size = 2; size <= WINDOW; size *= 2) {
            this.stage(size);
        }
        for (let k = 0; k < levels.length; k++) {
            levels[k] = 10 * Math.log10((re[k]! ** 2 + im[k]! ** 2) / WINDOW ** 2 + 1e-20);
        }
    }

    private stage(size: number): void {
        const { re, im } = this;
        const [half, step] = [size / 2, WINDOW / size];
        for (let start = 0; start < WINDOW; start += size) {
            for (let k = 0; k < half; k++) {
                const [a, b, c, s] = [start + k, start + k + half, this.cos[k * step]!, this.sin[k * step]!];
                const x = re[b]! * c - im[b]! * s;
                const y = re[b]! * s + im[b]! * c;
                re[b] = re[a]! - x;
                im[b] = im[a]! - y;
                re[a]! += x;
                im[a]! += y;
            }
        }
    }
}
