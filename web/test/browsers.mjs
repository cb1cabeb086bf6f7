// A page of the package's own in Debian's Chromium or Firefox, from a server on this machine, under a strict policy.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createReadStream, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";

import puppeteer from "puppeteer-core";

import { REFERENCE, WEB } from "./support.mjs";

const POLICY =
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; style-src 'self'; img-src 'self'; " +
    "media-src 'self' blob: mediastream:";
const POLICY_WITHOUT_WASM = POLICY.replace(" 'wasm-unsafe-eval'", "");
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm" };
const PROGRAMS = { chromium: "/usr/bin/chromium", firefox: "/usr/bin/firefox-esr" };

export const BROWSER = process.env.PERCEPNET_BROWSER ?? "chromium";

export function whyNot() {
    const program = PROGRAMS[BROWSER];
    return program && existsSync(program) ? false : `needs ${program ?? BROWSER}`;
}

/** Folders by the first part of the path; `/strict/…` is the same without leave to compile WebAssembly, and `/cut/…`
    breaks off in the middle of a file. */
export function serve(folders) {
    const server = http.createServer((request, response) => {
        let path = normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname));
        const isStrict = path.startsWith("/strict/");
        const isCut = path.startsWith("/cut/");
        path = path.replace(/^\/(strict|cut)\//, "/");
        const [, first, ...rest] = path.split("/");
        const file = folders[first] && join(folders[first], ...rest);
        if (!file || !existsSync(file) || !statSync(file).isFile()) {
            response.writeHead(404);
            response.end();
            return;
        }
        response.writeHead(200, {
            "Content-Type": TYPES[extname(file)] ?? "application/octet-stream",
            "Content-Security-Policy": isStrict ? POLICY_WITHOUT_WASM : POLICY,
            "Cache-Control": "no-store",
            "Content-Length": statSync(file).size,
        });
        if (isCut) {
            const content = readFileSync(file);
            response.write(content.subarray(0, content.length / 2), () => response.destroy());
            return;
        }
        createReadStream(file).pipe(response);
    });
    return new Promise((resolve) => {
        server.listen(0, "127.0.0.1", () => resolve({ server, at: `http://127.0.0.1:${server.address().port}` }));
    });
}

const CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
];

const FIREFOX_SETTINGS = {
    "media.navigator.streams.fake": true,
    "media.navigator.permission.disabled": true,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    "media.cubeb.sandbox": false,
    "media.peerconnection.ice.obfuscate_host_addresses": false,
    "media.peerconnection.ice.loopback": true,
    "dom.audioworklet.enabled": true,
};

/** A sound server of our own, for a browser that plays nothing without one. */
function startPulse() {
    if (!existsSync("/usr/bin/pulseaudio")) {
        return null;
    }
    const home = mkdtempSync(join(tmpdir(), "percepnet-pulse-"));
    const socket = join(home, "pulse.sock");
    const words = ["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm=yes"];
    words.push("-L", `module-native-protocol-unix socket=${socket}`, "-L", "module-null-sink sink_name=speaker rate=48000");
    const env = { ...process.env, HOME: home, XDG_RUNTIME_DIR: home };
    const server = spawn("/usr/bin/pulseaudio", words, { env, stdio: "ignore" });
    const ended = once(server, "exit");
    const end = async () => {
        server.kill();
        await ended;
        rmSync(home, { recursive: true, force: true, maxRetries: 5 });
    };
    return { env: { PULSE_SERVER: `unix:${socket}` }, end };
}

/** A browser whose microphone, in Chromium, is a WAV file. */
export async function launch({ microphone, flags = [] } = {}) {
    const profile = mkdtempSync(join(tmpdir(), "percepnet-browser-"));
    const pulse = BROWSER === "firefox" ? startPulse() : null;
    const options =
        BROWSER === "firefox"
            ? { browser: "firefox", extraPrefsFirefox: FIREFOX_SETTINGS }
            : {
                  args: [
                      ...CHROMIUM_FLAGS,
                      ...flags,
                      `--use-file-for-fake-audio-capture=${microphone ?? join(REFERENCE, "microphone.wav")}`,
                  ],
              };
    const browser = await puppeteer.launch({
        executablePath: PROGRAMS[BROWSER],
        headless: true,
        userDataDir: profile,
        protocolTimeout: 900_000,
        env: { ...process.env, ...pulse?.env },
        ...options,
    });
    return {
        browser,
        end: async () => {
            await browser.close();
            await pulse?.end();
            rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
        },
    };
}

export function folders(more = {}) {
    return { dist: join(WEB, "dist"), pages: join(WEB, "test", "pages"), reference: REFERENCE, ...more };
}

/** A page on which the package is at hand, and what it complained of. */
export async function open(browser, address) {
    const page = await browser.newPage();
    const complaints = [];
    page.on("console", (message) => {
        if (["error", "warn", "warning"].includes(message.type())) {
            complaints.push(message.text());
        }
    });
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.goto(address);
    await page.waitForFunction("window.isReady");
    return { page, complaints };
}
