/** What a node and its processor, and a page and its worker, say to each other. */

export interface ModelBytes {
    name: string;
    bytes: ArrayBuffer;
}

/** The library's memory with models in it: what is not zero. */
export interface MemoryImage {
    /** Bytes of all of the memory. */
    size: number;
    parts: { at: number; bytes: ArrayBuffer }[];
    /** Of the models, in their order. */
    addresses: number[];
    /** Of the model that suppresses what is left of an echo; 0: there is none. */
    residual: number;
}

export interface ProcessorOptions {
    wasm: ArrayBuffer;
    models: ModelBytes[];
    /** The models, loaded by a worker already, which takes tens of milliseconds; null: the audio thread loads them. */
    image: MemoryImage | null;
    /** Whether there is a second input, of what the loudspeaker plays. */
    farEnd: boolean;
    /** With it, the model for what is left of its echo, where there is no image. */
    residual: ArrayBuffer | null;
    channels: number;
    enabled: boolean;
    attenuationLimitDb: number;
    /** Share of real time that is too much; null where time does not matter: a context that renders offline. */
    loadMax: number | null;
    /** Seconds between messages of the speech probability; 0: none. */
    speechIntervalS: number;
}

export type ToProcessor =
    /** Go on with the beginning: an audio thread that is in a call has no time to do all of it at once. */
    | { type: "begin" }
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
    /** Milliseconds of the longest call so far: what ran late with this small was late for another reason. */
    longestMs: number;
    /** 10 ms with samples that are no audio. */
    refusedHops: number;
    /** Bytes of memory of the library. */
    memoryBytes: number;
    model: string | null;
}

export type FromProcessor =
    | { type: "beginning" }
    | { type: "ready"; latencySamples: number; kernel: string; model: string }
    | { type: "latency"; latencySamples: number }
    | { type: "error"; message: string }
    | { type: "overload"; load: number; model: string | null }
    | { type: "recovered"; model: string }
    | { type: "speech"; probability: number; time: number }
    | ({ type: "stats" } & Stats);

export type ToWorker =
    | { id: number; type: "measure"; wasm: ArrayBuffer; model: ArrayBuffer; residual: ArrayBuffer | null }
    | { id: number; type: "load"; wasm: ArrayBuffer; models: ArrayBuffer[]; residual: ArrayBuffer | null }
    | {
          id: number;
          type: "enhance";
          wasm: ArrayBuffer;
          model: ArrayBuffer;
          residual: ArrayBuffer | null;
          channels: Float32Array[];
          /** What was played meanwhile, as long as they are. */
          far: Float32Array | null;
          sampleRate: number;
          attenuationLimitDb: number;
      };

export type FromWorker =
    | { id: number; type: "measured"; hopMs: number; kernel: string }
    | { id: number; type: "loaded"; image: MemoryImage }
    | { id: number; type: "progress"; done: number }
    | { id: number; type: "enhanced"; channels: Float32Array[] }
    | { id: number; type: "error"; message: string };
