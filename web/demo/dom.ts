/** The page's parts by name. */

export function part<T extends HTMLElement = HTMLElement>(id: string): T {
    const found = document.getElementById(id);
    if (!found) {
        throw new Error(`the page has no ${id}`);
    }
    return found as T;
}

/** Two buttons of which one is pressed: `[off, on]`. */
export class Switch {
    constructor(
        private readonly off: HTMLElement,
        private readonly on: HTMLElement,
        changed: (isOn: boolean) => void,
    ) {
        off.addEventListener("click", () => this.set(false, changed));
        on.addEventListener("click", () => this.set(true, changed));
        this.changed = changed;
    }

    private readonly changed: (isOn: boolean) => void;

    get isOn(): boolean {
        return this.on.getAttribute("aria-pressed") === "true";
    }

    set(isOn: boolean, told: (isOn: boolean) => void = this.changed): void {
        this.on.setAttribute("aria-pressed", String(isOn));
        this.off.setAttribute("aria-pressed", String(!isOn));
        told(isOn);
    }

    toggle(): void {
        this.set(!this.isOn);
    }
}

/** While it runs, further calls do nothing: a second click while the browser asks for the microphone is none. */
export function oneAtATime<A extends unknown[]>(run: (...given: A) => Promise<void>): (...given: A) => Promise<void> {
    let isRunning = false;
    return async (...given) => {
        if (isRunning) {
            return;
        }
        isRunning = true;
        try {
            await run(...given);
        } finally {
            isRunning = false;
        }
    };
}

export function complain(words: string): void {
    const box = part("problem");
    box.textContent = words;
    box.hidden = false;
}

export const decibels = (power: number) => (power > 1e-10 ? `${Math.round(10 * Math.log10(power))} dB` : "silent");

export function powerOf(samples: Float32Array): number {
    let sum = 0;
    for (const sample of samples) {
        sum += sample * sample;
    }
    return sum / samples.length;
}
