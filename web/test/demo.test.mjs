// The demo's page, with a microphone whose permission takes a while.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";

import { BROWSER, launch, serve, whyNot } from "./browsers.mjs";
import { HAS_REFERENCE, WEB } from "./support.mjs";

const skip = whyNot() || (!HAS_REFERENCE && "needs reference.py's files");
const SITE = join(WEB, "..", "src", "percepnet", "web", "site");
let host, started, page;

/** In the page, before its own: what it opens, and how the microphone answers. */
function watch() {
    const seen = { contexts: [], tracks: [], refusal: null };
    const { mediaDevices } = navigator;
    const ask = mediaDevices.getUserMedia.bind(mediaDevices);
    mediaDevices.getUserMedia = async (constraints) => {
        await new Promise((resolve) => setTimeout(resolve, 300));
        if (seen.refusal) {
            throw new DOMException("refused", seen.refusal);
        }
        const stream = await ask(constraints);
        seen.tracks.push(...stream.getTracks());
        return stream;
    };
    window.AudioContext = class extends AudioContext {
        constructor(options) {
            super(options);
            seen.contexts.push(this);
        }
    };
    Object.assign(window, { seen });
}

const click = (id) => page.evaluate((name) => document.getElementById(name).click(), id);
const reads = (id, words) => {
    const isThere = (name, text) => document.getElementById(name).textContent.includes(text);
    return page.waitForFunction(isThere, { timeout: 60_000 }, id, words);
};
const allEnded = () => {
    const isSo = () => {
        const states = [...seen.contexts, ...seen.tracks].map((each) => each.state ?? each.readyState);
        return states.every((state) => state === "closed" || state === "ended");
    };
    return page.waitForFunction(isSo, { timeout: 5000 });
};

before(async () => {
    if (skip) {
        return;
    }
    host = await serve({ site: SITE });
    started = await launch();
});

beforeEach(async () => {
    if (skip) {
        return;
    }
    await page?.close();
    page = await started.browser.newPage();
    await page.evaluateOnNewDocument(watch);
    await page.goto(`${host.at}/site/index.html`);
    await reads("recording-play", "Play");
    await reads("about-engine", "Model");
});

after(async () => {
    await started?.end();
    host?.server.close();
    host?.server.closeAllConnections();
});

const check = (name, body) => test(`${BROWSER}: ${name}`, { skip, timeout: 120_000 }, body);

for (const [panel, stop] of [["microphone", "Stop"], ["call", "Hang up"]]) {
    check(`${panel}: a second click while it starts is none, and a third one ends it all`, async () => {
        await click(`${panel}-start`);
        await click(`${panel}-start`);
        await reads(`${panel}-start`, stop);
        // what a second start would open is there by then
        await new Promise((resolve) => setTimeout(resolve, 1000));
        assert.deepEqual(await page.evaluate(() => [seen.contexts.length, seen.tracks.length]), [1, 1]);
        await click(`${panel}-start`);
        await allEnded();
    });
}

check("a microphone that is refused leaves nothing open", async () => {
    await page.evaluate(() => (seen.refusal = "NotAllowedError"));
    await click("microphone-start");
    await reads("microphone-about", "was not allowed");
    await click("call-start");
    await reads("problem", "was not allowed");
    assert.equal(await page.evaluate(() => seen.contexts.length), 2);
    await allEnded();
});

check("where nothing can be processed, nothing stays open", async () => {
    await page.evaluate(() => {
        AudioWorklet.prototype.addModule = () => Promise.reject(new Error("no module today"));
    });
    await click("microphone-start");
    await reads("problem", "no module today");
    assert.equal(await page.evaluate(() => seen.tracks.length), 1);
    await allEnded();
});
