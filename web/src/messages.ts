/** What a node and its processor, and a page and its worker, say to each other. */

export interface ModelBytes {
    name: string;
    bytes: ArrayBuffer;
}

export interface ProcessorOptions {
    wasm: ArrayBuffer;
    models: ModelBytes[];
    channels: number;
    enabled: boolean;
    attenuationLimitDb: number;
    /** Share of real time that is too much; null where time does not matter: a context that renders offline. */
    loadMax: number | null;
    /** Seconds between messages of the speech probability; 0: none. */
    speechIntervalS: number;
}

export type ToProcessor =
    | { type: "enabled"; enabled: boolean }
    | { type: "reset" }
    | { type: "stats" }
    | { type: "close" };

/** What the audio thread has done so far. */
export interface Stats {
    /** Seconds of audio. */
    seconds: number;
    /** Share of real time that the enhancement takes, newest quarter of a second. */
    load: number;
    /** Milliseconds that it has taken in all. */
    spentMs: number;
    /** 10 ms with samples that are no audio. */
    refusedHops: number;
    /** Bytes of memory of the library. */
    memoryBytes: number;
    model: string | null;
}

export type FromProcessor =
    | { type: "ready"; latencySamples: number; kernel: string; model: string }
    | { type: "latency"; latencySamples: number }
    | { type: "error"; message: string }
    | { type: "overload"; load: number; model: string | null }
    | { type: "recovered"; model: string }
    | { type: "speech"; probability: number; time: number }
    | ({ type: "stats" } & Stats);

export type ToWorker =
    | { id: number; type: "measure"; wasm: ArrayBuffer; model: ArrayBuffer }
    | {
          id: number;
          type: "enhance";
          wasm: ArrayBuffer;
          model: ArrayBuffer;
          channels: Float32Array[];
          sampleRate: number;
          attenuationLimitDb: number;
      };

export type FromWorker =
    | { id: number; type: "measured"; hopMs: number; kernel: string }
    | { id: number; type: "progress"; done: number }
    | { id: number; type: "enhanced"; channels: Float32Array[] }
    | { id: number; type: "error"; message: string };
