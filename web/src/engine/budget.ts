/** Whether the audio thread keeps up. All numbers are milliseconds; nothing is kept but sums. */

/** Parts of a second after which it is asked. */
const WINDOW_MS = 250;
/** What a window may take of its own length, two windows in a row; and a single one. */
const SHARE_MAX = 0.5;
const SHARE_MAX_AT_ONCE = 0.9;
/** How far the clock on the wall may run ahead of the audio in a window, where the enhancement has a part in it. */
const LATE_MAX_MS = 100;
const SHARE_OF_GUILT = 0.2;
/** The thread was not late but asleep: a suspended context, a closed laptop. */
const ASLEEP_MS = 1000;

export class Budget {
    /** What the last window took of its own length. */
    share = 0;
    private spentMs = 0;
    private audioMs = 0;
    private wallStartMs = -1;
    private lastMs = -1;
    private heavyWindows = 0;

    /** `shareMax` is what the enhancement may take of real time. */
    constructor(private readonly shareMax = SHARE_MAX) {}

    /** Note a call that began and ended at these times, and enhanced so much audio; returns whether it is too much. */
    isTooMuch(startMs: number, endMs: number, audioMs: number): boolean {
        if (this.wallStartMs < 0 || startMs - this.lastMs > ASLEEP_MS) {
            this.restart(startMs);
        }
        this.lastMs = endMs;
        this.spentMs += endMs - startMs;
        this.audioMs += audioMs;
        return this.audioMs >= WINDOW_MS && this.judge(endMs);
    }

    /** Forget what was. */
    restart(nowMs: number): void {
        this.heavyWindows = 0;
        this.begin(nowMs);
    }

    private begin(nowMs: number): void {
        this.spentMs = 0;
        this.audioMs = 0;
        this.wallStartMs = nowMs;
        this.lastMs = nowMs;
    }

    private judge(nowMs: number): boolean {
        this.share = this.spentMs / this.audioMs;
        const lateMs = nowMs - this.wallStartMs - this.audioMs;
        const isGuilty = this.share > Math.min(SHARE_OF_GUILT, this.shareMax);
        const isHeavy = this.share > this.shareMax || (lateMs > LATE_MAX_MS && isGuilty);
        this.heavyWindows = isHeavy ? this.heavyWindows + 1 : 0;
        this.begin(nowMs);
        return this.heavyWindows >= 2 || this.share > Math.max(SHARE_MAX_AT_ONCE, this.shareMax);
    }
}
