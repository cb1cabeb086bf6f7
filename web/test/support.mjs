// Files and references that tests share.

import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const WEB = join(dirname(fileURLToPath(import.meta.url)), "..");
export const DIST = join(WEB, "dist");
// made by reference.py
export const REFERENCE = process.env.PERCEPNET_REFERENCE ?? "";
export const HAS_REFERENCE = REFERENCE && existsSync(join(REFERENCE, "facts.json"));

export function floats(name) {
    const raw = readFileSync(join(REFERENCE, name));
    return new Float32Array(raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.length));
}

export function bytes(name) {
    const raw = readFileSync(join(DIST, name));
    return raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.length);
}

export function facts() {
    return JSON.parse(readFileSync(join(REFERENCE, "facts.json"), "utf8"));
}

export { differing } from "./pages/differing.js";
