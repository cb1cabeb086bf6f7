/** Fetching what runs: the library, and models. */

import { unlessAborted } from "./abort.js";
import { PercepNetError, wordsOf } from "./errors.js";
import { EngineWorker } from "./engine_worker.js";
import type { MemoryImage, ModelBytes } from "./messages.js";
import { hasRelaxedSimd, whyUnsupported } from "./support.js";

export type Address = string | URL;
/** "small", "default", or the address of a model file. */
export type ModelName = "small" | "default" | (string & {}) | URL;

export interface LoadOptions {
    /** Folder of all files below; by default the one of this module, which is right where no bundler has moved it. */
    base?: Address;
    /** Address of percepnet.wasm; or of both binaries. */
    wasm?: Address | { simd: Address; relaxed: Address };
    /** A model, or several, the best first: then the best that this device has time for is chosen. "auto" is default and small. */
    model?: ModelName | "auto" | ModelName[];
    /** Address of worklet.js, which is also the worker that measures and that enhances files. */
    worklet?: Address;
    /** Whether to fetch what takes out the echo of what the loudspeaker plays too: the larger binary percepnet-echo.wasm, in place
        of percepnet.wasm, and a small model, both of the package percepnet-echo. */
    farEnd?: boolean;
    /** Address of that model, residual.safetensors. */
    residual?: Address;
    /** Share of real time that a model may take here, when it is measured. */
    budget?: number;
    /** Whether to measure. Without it the first model is taken as it is. */
    measure?: boolean;
    signal?: AbortSignal;
}

/** What nodes, streams and files are made with: plain bytes, for any number of them. */
export interface Binaries {
    wasm: ArrayBuffer;
    /** The chosen model first, and then those that a device falls back to. */
    models: ModelBytes[];
    /** With a far end, the model for what is left of its echo; null: without. */
    residual: ArrayBuffer | null;
    /** The models as a worker has loaded them; null: every node loads them itself, which a call that goes on may hear. */
    image: MemoryImage | null;
    worklet: string;
    /** Milliseconds that 10 ms of one channel take on this device; null if it was not measured. */
    hopMs: number | null;
}

const HOP_MS = 10;
const BUDGET = 0.15;
/** A better model is fetched only where the cheaper one leaves so much of the budget. */
const ROOM_FOR_BETTER = 0.5;
const MODEL_NAMES = ["small", "default"];
/** Files of the package percepnet-echo. */
const OF_FAR_END = /\/(percepnet-echo[^/]*\.wasm|residual\.safetensors)$/;

/** A file that several callers may wait for. */
interface Download {
    bytes: Promise<ArrayBuffer>;
    callers: number;
    controller: AbortController;
}

const downloads = new Map<string, Download>();

/** What nodes, streams and recordings are made with has to be binaries, and not a promise of them. */
export function checkBinaries(binaries: Binaries, farEnd: unknown): void {
    if (!binaries?.wasm?.byteLength || !binaries.models?.length) {
        throw new PercepNetError("binaries are what loadPercepNet resolves to: await it first");
    }
    if (farEnd && !binaries.residual) {
        throw new PercepNetError("these binaries have no far end: load them with loadPercepNet({ farEnd: true })");
    }
}

/** Fetch the library and a model, each once, and measure what it costs on this device.

    Rejects with a `PercepNetError` that says what to do: what the browser lacks, which file is not where it was looked for,
    is cut short, or is something else. */
export async function loadPercepNet(options: LoadOptions = {}): Promise<Binaries> {
    const lacking = whyUnsupported();
    if (lacking) {
        throw new PercepNetError(lacking);
    }
    const { signal } = options;
    const at = addresses(options);
    const names = modelNames(options.model ?? "small");
    const fetchedWasm = fetchOnce(at.wasm, signal);
    const cheapest = fetchOnce(at.model(names[names.length - 1]!), signal);
    const fetchedResidual = options.farEnd ? fetchOnce(at.residual, signal) : null;
    // fetched at once and awaited in turn: where several are missing, the words name the same one each time
    const wasm = await fetchedWasm;
    await cheapest;
    const residual = await fetchedResidual;
    checkWasm(wasm, at.wasm);
    const worker = new EngineWorker(at.worklet);
    try {
        const chosen = await choose(worker, wasm, residual, names, at, options);
        const loaded = worker.load(wasm, chosen.models.map((model) => model.bytes), residual);
        // what is wrong with it is for the nodes to say: without a measurement, nothing was to run yet
        const image = await loaded.catch(() => null);
        return { wasm, worklet: at.worklet, image, residual, ...chosen };
    } finally {
        worker.end();
    }
}

interface Chosen {
    models: ModelBytes[];
    hopMs: number | null;
}

/** From the cheapest up, as far as there is time for. */
async function choose(
    worker: EngineWorker, wasm: ArrayBuffer, residual: ArrayBuffer | null, names: ModelName[], at: Addresses,
    options: LoadOptions,
): Promise<Chosen> {
    if (options.measure === false) {
        const bytes = await fetchOnce(at.model(names[0]!), options.signal);
        return { models: [{ name: String(names[0]), bytes }], hopMs: null };
    }
    const budgetMs = HOP_MS * (options.budget ?? BUDGET);
    const chosen: Chosen = { models: [], hopMs: Infinity };
    for (const name of [...names].reverse()) {
        const address = at.model(name);
        const bytes = await fetchOnce(address, options.signal);
        const hopMs = await worker.measure(wasm, bytes, residual).catch((refused: unknown) => {
            throw new PercepNetError(`${address}: ${wordsOf(refused)}`);
        });
        if (chosen.models.length && hopMs > budgetMs) {
            break;
        }
        chosen.models.unshift({ name: String(name), bytes });
        chosen.hopMs = hopMs;
        if (hopMs > ROOM_FOR_BETTER * budgetMs) {
            break;
        }
    }
    return chosen;
}

function modelNames(model: NonNullable<LoadOptions["model"]>): ModelName[] {
    if (model === "auto") {
        return ["default", "small"];
    }
    const names = Array.isArray(model) ? model : [model];
    if (!names.length) {
        throw new PercepNetError(`model is an empty list: give "small", "default", or the address of a model file`);
    }
    return names;
}

interface Addresses {
    wasm: string;
    worklet: string;
    residual: string;
    model(name: ModelName): string;
}

function addresses(options: LoadOptions): Addresses {
    const page = typeof document === "object" ? document.baseURI : undefined;
    const base = options.base === undefined ? ownFolder() : new URL(withSlash(options.base), page).href;
    const resolve = (address: Address) => new URL(address, page).href;
    const relaxed = hasRelaxedSimd();
    const { wasm } = options;
    let binary: string;
    if (wasm === undefined) {
        const name = options.farEnd ? "percepnet-echo" : "percepnet";
        binary = new URL(relaxed ? `${name}-relaxed.wasm` : `${name}.wasm`, base).href;
    } else if (typeof wasm === "string" || wasm instanceof URL) {
        binary = resolve(wasm);
    } else {
        binary = resolve(relaxed ? wasm.relaxed : wasm.simd);
    }
    return {
        wasm: binary,
        worklet: options.worklet === undefined ? new URL("worklet.js", base).href : resolve(options.worklet),
        residual: options.residual === undefined ? new URL("residual.safetensors", base).href : resolve(options.residual),
        model: (name) =>
            MODEL_NAMES.includes(String(name)) ? new URL(`${String(name)}.safetensors`, base).href : resolve(name),
    };
}

function withSlash(address: Address): string {
    return String(address).replace(/\/?$/, "/");
}

/** In two steps, because bundlers take the usual form as an order to copy what is there. */
function ownFolder(): string {
    const here: string = import.meta.url;
    return here.slice(0, here.lastIndexOf("/") + 1);
}

/** One download for all callers, whose signals are their own: it ends when the last one has left. */
function fetchOnce(address: string, signal?: AbortSignal): Promise<ArrayBuffer> {
    const controller = new AbortController();
    const begin = () => ({ bytes: fetchBytes(address, controller.signal), callers: 0, controller });
    const download = downloads.get(address) ?? begin();
    downloads.set(address, download);
    download.callers++;
    const mine = unlessAborted(download.bytes, signal);
    mine.catch(() => {
        download.callers--;
        if (!download.callers) {
            download.controller.abort();
            // what failed may be there at the next try
            downloads.delete(address);
        }
    });
    return mine;
}

async function fetchBytes(address: string, signal: AbortSignal): Promise<ArrayBuffer> {
    let response: Response;
    try {
        response = await fetch(address, { signal });
    } catch (refused) {
        throw new PercepNetError(`${address} cannot be fetched: ${wordsOf(refused)}`);
    }
    if (!response.ok) {
        const [owner, names] = OF_FAR_END.test(address)
            ? ["percepnet-echo", "base, wasm, residual"]
            : ["percepnet", "base, wasm, model, worklet"];
        throw new PercepNetError(
            `${address} answers ${response.status}: copy the files of the package ${owner} there, or say where they are (${names})`,
        );
    }
    const bytes = await response.arrayBuffer().catch((refused: unknown) => {
        throw new PercepNetError(`${address} was cut short on its way: try again (${wordsOf(refused)})`);
    });
    if (/text\/html/.test(response.headers.get("content-type") ?? "")) {
        throw new PercepNetError(`${address} is a web page: the server has no such file, and sends its start page instead`);
    }
    return bytes;
}

function checkWasm(bytes: ArrayBuffer, address: string): void {
    if (!WebAssembly.validate(bytes)) {
        throw new PercepNetError(
            `${address} is no WebAssembly that runs here, or was cut short (${bytes.byteLength} bytes): copy it anew`,
        );
    }
}
