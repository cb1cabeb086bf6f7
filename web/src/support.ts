/** What this browser can do, without fetching anything. */

// (module (func (result v128) i32.const 0 i8x16.splat))
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11];
// the same, with i32x4.relaxed_dot_i8x16_i7x16_add_s of three of them
const RELAXED = [
    0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 19, 1, 17, 0, 65, 0, 253, 15, 65, 0, 253, 15, 65, 0,
    253, 15, 253, 147, 2, 11,
];

function validates(bytes: number[]): boolean {
    try {
        return typeof WebAssembly === "object" && WebAssembly.validate(new Uint8Array(bytes));
    } catch {
        return false;
    }
}

/** Whether live audio can be enhanced here: audio worklets, and WebAssembly with vectors (all browsers since 2023). Cheap. */
export function isSupported(): boolean {
    return typeof globalThis.AudioWorkletNode === "function" && hasSimd();
}

export function hasSimd(): boolean {
    return validates(SIMD);
}

/** Whether the second binary, which is a little faster, runs here. */
export function hasRelaxedSimd(): boolean {
    return validates(RELAXED);
}

/** Why `isSupported` says no, in words; null if it says yes. */
export function whyUnsupported(): string | null {
    if (typeof globalThis.AudioWorkletNode !== "function") {
        return globalThis.isSecureContext === false
            ? "audio worklets need a secure page: serve it by https, or from localhost"
            : "this browser has no audio worklets: update it";
    }
    return hasSimd() ? null : "this browser's WebAssembly has no SIMD: update it (Safari from 16.4 on, others since 2021)";
}
