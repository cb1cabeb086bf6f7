/** The page's side of the worker that measures, and that enhances recordings. */

import { PercepNetError } from "./errors.js";
import type { FromWorker, MemoryImage, ToWorker } from "./messages.js";

type Order = ToWorker extends infer O ? (O extends ToWorker ? Omit<O, "id"> : never) : never;

interface Waiting {
    resolve(answer: FromWorker): void;
    reject(error: Error): void;
    progress?: ((done: number) => void) | undefined;
}

export class EngineWorker {
    private readonly worker: Worker;
    private readonly waiting = new Map<number, Waiting>();
    private count = 0;

    constructor(address: string) {
        this.worker = new Worker(address, { name: "percepnet" });
        this.worker.onmessage = (event: MessageEvent<FromWorker>) => this.take(event.data);
        this.worker.onerror = (event) => {
            event.preventDefault?.();
            this.give(new PercepNetError(`${address} cannot run as a worker: ${event.message || "it was not found"}`));
        };
    }

    async measure(wasm: ArrayBuffer, model: ArrayBuffer, residual: ArrayBuffer | null): Promise<number> {
        const answer = await this.ask({ type: "measure", wasm, model, residual });
        return answer.type === "measured" ? answer.hopMs : NaN;
    }

    /** The library's memory with these models in it, for audio threads. */
    async load(wasm: ArrayBuffer, models: ArrayBuffer[], residual: ArrayBuffer | null): Promise<MemoryImage | null> {
        const answer = await this.ask({ type: "load", wasm, models, residual });
        return answer.type === "loaded" ? answer.image : null;
    }

    /** `transfer` is what the worker is given instead of copies. */
    async enhance(
        order: Omit<Extract<Order, { type: "enhance" }>, "type">,
        transfer: Transferable[],
        progress?: (done: number) => void,
    ): Promise<Float32Array[]> {
        const answer = await this.ask({ type: "enhance", ...order }, transfer, progress);
        return answer.type === "enhanced" ? answer.channels : [];
    }

    private ask(order: Order, transfer: Transferable[] = [], progress?: (done: number) => void): Promise<FromWorker> {
        const id = ++this.count;
        return new Promise((resolve, reject) => {
            this.waiting.set(id, { resolve, reject, progress });
            this.worker.postMessage({ id, ...order } as ToWorker, transfer);
        });
    }

    private take(answer: FromWorker): void {
        const waiting = this.waiting.get(answer.id);
        if (answer.type === "progress") {
            waiting?.progress?.(answer.done);
            return;
        }
        this.waiting.delete(answer.id);
        if (answer.type === "error") {
            waiting?.reject(new PercepNetError(answer.message));
        } else {
            waiting?.resolve(answer);
        }
    }

    private give(error: Error): void {
        for (const waiting of this.waiting.values()) {
            waiting.reject(error);
        }
        this.waiting.clear();
    }

    end(): void {
        this.give(new PercepNetError("the worker was ended"));
        this.worker.terminate();
    }
}
