/** PercepNet in the browser: speech without its noise and reverberation, live and from files. */

export { loadPercepNet } from "./binaries.js";
export type { Address, Binaries, LoadOptions, ModelName } from "./binaries.js";
export { PercepNetError } from "./errors.js";
export { enhanceFile, enhanceSamples, toWav } from "./file.js";
export type { FileOptions } from "./file.js";
export type { ModelBytes, Stats } from "./messages.js";
export { addPercepNetModule, PercepNetNode } from "./node.js";
export type { NodeEvents, NodeOptions, NodeState, OverloadDetail } from "./node.js";
export { ProcessedStream, processStream } from "./process_stream.js";
export type { StreamOptions } from "./process_stream.js";
export { hasRelaxedSimd, isSupported, whyUnsupported } from "./support.js";
