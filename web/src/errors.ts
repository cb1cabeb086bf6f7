/** What a caller can do something about: one line that says what was wrong, and what to do. */
export class PercepNetError extends Error {
    override name = "PercepNetError";
}

/** The message of anything that was thrown. */
export function wordsOf(thrown: unknown): string {
    return thrown instanceof Error ? thrown.message : String(thrown);
}
