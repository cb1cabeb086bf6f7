// What others get: the tarball, in a Vite project and in a plain page; sizes.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { brotliCompressSync, constants } from "node:zlib";

import { launch, serve, whyNot } from "./browsers.mjs";
import { bytes, HAS_REFERENCE, WEB } from "./support.mjs";

const skip = whyNot() || (!HAS_REFERENCE && "needs reference.py's files");
const TOOLS = join(WEB, "node_modules", ".bin");
const run = (program, words, cwd) => execFileSync(program, words, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

let folder, tarball, echoTarball;

function pack(at) {
    const packed = JSON.parse(run("npm", ["pack", "--json", "--pack-destination", folder], at));
    return join(folder, (Array.isArray(packed) ? packed[0] : Object.values(packed)[0]).filename);
}

before(() => {
    folder = mkdtempSync(join(tmpdir(), "percepnet-package-"));
    tarball = pack(WEB);
    echoTarball = pack(join(WEB, "echo"));
});

after(() => rmSync(folder, { recursive: true, force: true }));

function install(name, files) {
    const at = join(folder, name);
    mkdirSync(at);
    writeFileSync(join(at, "package.json"), JSON.stringify({ name, private: true, type: "module" }));
    Object.entries(files).forEach(([file, content]) => writeFileSync(join(at, file), content));
    run("npm", ["install", "--no-audit", "--no-fund", "--offline", tarball, echoTarball], at);
    return at;
}

// ten lines to a cleaned microphone
const LINES = `
const binaries = await loadPercepNet(ADDRESSES);
const microphone = await navigator.mediaDevices.getUserMedia({
    audio: { echoCancellation: true, noiseSuppression: false, autoGainControl: false },
});
const clean = await processStream(microphone, binaries);
document.body.append(Object.assign(new Audio(), { srcObject: clean.stream }));
`;
const TOLD = "\nwindow.told = [clean.node?.state, clean.track.readyState, clean.stream !== microphone, clean.latency];\n";

async function told(root, page) {
    const host = await serve({ site: root });
    const { browser, end } = await launch();
    try {
        const opened = await browser.newPage();
        const complaints = [];
        opened.on("pageerror", (error) => complaints.push(error.message));
        await opened.goto(`${host.at}/site/${page}`);
        await opened.waitForFunction("window.told", { timeout: 60_000 }).catch(() => assert.fail(complaints.join()));
        return await opened.evaluate("window.told");
    } finally {
        await end();
        host.server.close();
        host.server.closeAllConnections();
    }
}

test("a far end: what both packages have, in an empty Vite project", { skip, timeout: 240_000 }, async () => {
    const imports = `
import { loadPercepNet, PercepNetNode } from "percepnet";
import simd from "percepnet-echo/percepnet-echo.wasm?url";
import relaxed from "percepnet-echo/percepnet-echo-relaxed.wasm?url";
import residual from "percepnet-echo/residual.safetensors?url";
import worklet from "percepnet/worklet.js?url";
import model from "percepnet/small.safetensors?url";
const binaries = await loadPercepNet({ farEnd: true, wasm: { simd, relaxed }, residual, worklet, model });
const node = await PercepNetNode.create(new OfflineAudioContext(1, 48000, 48000), binaries, { farEnd: true });
window.told = [node.state, node.numberOfInputs];`;
    const at = install("far", {
        "index.html": '<!doctype html><link rel="icon" href="data:,"><body><script type="module" src="/main.js"></script>',
        "main.js": imports,
    });
    run(join(TOOLS, "vite"), ["build", "--base", "./", "--target", "es2022"], at);
    assert.deepEqual(await told(join(at, "dist"), "index.html"), ["running", 2]);
});

function isClean([state, track, isOther, latency]) {
    assert.deepEqual([state, track, isOther], ["running", "live", true]);
    assert.ok(latency > 0.03 && latency < 0.06);
}

test("ten lines in an empty Vite project", { skip, timeout: 240_000 }, async () => {
    const imports = `
import { loadPercepNet, processStream } from "percepnet";
import wasm from "percepnet/percepnet.wasm?url";
import worklet from "percepnet/worklet.js?url";
import model from "percepnet/small.safetensors?url";`;
    const at = install("vite", {
        "index.html": '<!doctype html><link rel="icon" href="data:,"><body><script type="module" src="/main.js"></script>',
        "main.js": imports + LINES.replace("ADDRESSES", "{ wasm, worklet, model }") + TOLD,
    });
    run(join(TOOLS, "vite"), ["build", "--base", "./", "--target", "es2022"], at);
    const files = readdirSync(join(at, "dist", "assets"));
    assert.ok(!files.some((file) => file.startsWith("default")), "models that are not asked for stay out");
    isClean(await told(join(at, "dist"), "index.html"));
});

test("ten lines in a plain page", { skip, timeout: 240_000 }, async () => {
    const script = `import { loadPercepNet, processStream } from "./node_modules/percepnet/dist/index.js";`;
    const at = install("plain", {
        "index.html": '<!doctype html><link rel="icon" href="data:,"><body><script type="module" src="main.js"></script>',
        "main.js": script + LINES.replace("ADDRESSES", "") + TOLD,
    });
    isClean(await told(at, "index.html"));
});

test("what is not used stays out of a bundle", () => {
    const at = install("small", { "main.js": 'import { isSupported } from "percepnet"; console.log(isSupported());' });
    const bundle = run(join(TOOLS, "esbuild"), ["main.js", "--bundle", "--minify", "--format=esm"], at);
    assert.ok(bundle.length < 1000, `${bundle.length} bytes`);
});

test("it can be imported where there is no browser", () => {
    const at = install("server", {
        "main.js": 'import { isSupported } from "percepnet"; import "percepnet/livekit"; console.log(isSupported());',
    });
    assert.equal(run("node", ["main.js"], at).trim(), "false");
});

const brotli = (name) => {
    const content = Buffer.from(bytes(name));
    return brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_LGWIN]: 24 } }).length;
};

const SIZES = [
    ["percepnet.wasm, brotli", () => brotli("percepnet.wasm"), 45_000],
    ["small.safetensors, brotli", () => brotli("small.safetensors"), 450_000],
    ["the tarball", () => statSync(tarball).size, 4_000_000],
    ["percepnet-echo.wasm, brotli", () => brotli("percepnet-echo.wasm"), 50_000],
    ["residual.safetensors, brotli", () => brotli("residual.safetensors"), 400_000],
    ["the tarball of percepnet-echo", () => statSync(echoTarball).size, 550_000],
];
for (const [name, measure, most] of SIZES) {
    test(`${name}: at most ${most} bytes`, () => {
        const size = measure();
        console.log(`# ${name}: ${size} bytes`);
        assert.ok(size <= most, `${size} bytes`);
    });
}
