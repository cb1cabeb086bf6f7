// For node and for pages.

/** How many samples differ in any bit. */
export function differing(a, b) {
    const left = new Int32Array(a.buffer, a.byteOffset, a.length);
    const right = new Int32Array(b.buffer, b.byteOffset, b.length);
    let count = Math.abs(a.length - b.length);
    for (let i = 0; i < Math.min(a.length, b.length); i++) {
        count += left[i] !== right[i];
    }
    return count;
}
