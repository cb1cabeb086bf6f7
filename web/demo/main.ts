/** The demo: everything runs in this page, and nothing leaves it. */

import { Binaries, loadPercepNet } from "../src/index.js";
import { CallPanel } from "./call.js";
import { complain, part } from "./dom.js";
import { LivePanel } from "./live.js";
import { RecordingPanel } from "./recording.js";

const EXAMPLE = "example.flac";

/** Once, at the first use. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
    let made: Promise<T> | null = null;
    return () => {
        made ??= make();
        made.catch(() => (made = null));
        return made;
    };
}

const binaries = once(async () => {
    const loaded = await loadPercepNet({ base: new URL(".", location.href) });
    show(loaded);
    return loaded;
});
const example = once(async () => (await fetch(EXAMPLE)).blob());

function show({ wasm, models, hopMs }: Binaries): void {
    const megabytes = (wasm.byteLength + models[0]!.bytes.byteLength) / 1e6;
    part("fact-size").textContent = `${megabytes.toFixed(1)} MB`;
    part("fact-load").textContent = hopMs === null ? "–" : `${(10 * hopMs).toFixed(1)} %`;
    part("about-engine").textContent =
        `Model ${models[0]!.name}, ${hopMs?.toFixed(2) ?? "?"} ms for each 10 ms of sound on this device.`;
}

const recording = new RecordingPanel(binaries);
const live = new LivePanel(binaries, example);
new CallPanel(binaries, example);

addEventListener("keydown", (event) => {
    const isTyping = event.target instanceof HTMLInputElement && event.target.type !== "checkbox";
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey) {
        return;
    }
    if (event.key === "b" || event.key === "B") {
        recording.toggleHeard();
    } else if (event.key === " " && live.isRunning) {
        live.toggleEnabled();
        event.preventDefault();
    }
});

const drop = part("drop");
addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.hidden = false;
});
addEventListener("dragleave", (event) => {
    drop.hidden = event.relatedTarget === null;
});
addEventListener("drop", (event) => {
    event.preventDefault();
    drop.hidden = true;
    const file = event.dataTransfer?.files[0];
    if (file) {
        part("recording").scrollIntoView();
        void recording.open(file, file.name);
    }
});

async function begin(): Promise<void> {
    try {
        await binaries();
        const speed = await recording.open(await example(), "example.flac", "A voice beside a helicopter");
        if (speed) {
            part("fact-speed").textContent = `${Math.round(speed)} ×`;
        }
    } catch (refused) {
        complain(refused instanceof Error ? refused.message : String(refused));
    }
}

void begin();
