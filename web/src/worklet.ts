/** One file for both: as an audio worklet's module it is the processor, as a worker it enhances recordings. Apps copy one
    file, and name one address. */

import { registerPercepNet } from "./engine/processor.js";
import { serve } from "./engine/worker.js";

declare const registerProcessor: unknown;

if (typeof registerProcessor === "function") {
    registerPercepNet();
} else {
    serve();
}
