"""A page in headless Chromium, over the browser's own protocol on a pipe: no package and no network port needed."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import time
from contextlib import contextmanager

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--mute-audio",
    "--remote-debugging-pipe",
)


def find_chromium():
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Page:
    """What the page has done so far, and a way to make it do more.

    `requests` are the addresses that it asked for, `complaints` what it wrote to the console as warning or error.
    """

    def __init__(self, send, receive):
        self._send, self._receive = send, receive
        self._numbers = itertools.count(1)
        self._session = None
        self.requests, self.complaints = [], []

    def call(self, method, **parameters):
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._send(message)
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self._note(answer.get("method"), answer.get("params", {}))

    def _note(self, method, parameters):
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(parameters["exceptionDetails"])
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning"):
            self.complaints.append(parameters["args"])
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.complaints.append(parameters["entry"])

    def attach(self, url, width, height, dark):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        if dark:
            self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        self.call("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")

    def run(self, script):
        """Value of a script, as after a click of the user."""
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def wait_for(self, script, seconds=60):
        give_up = time.monotonic() + seconds
        while not self.run(script):
            if time.monotonic() > give_up:
                raise TimeoutError(script)
            time.sleep(0.02)

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, text=key if kind == "keyDown" else "")

    def screenshot(self, path, whole=True):
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=whole, format="png")
        path.write_bytes(base64.b64decode(answer["data"]))


@contextmanager
def open_page(url, profile, width=1280, height=900, dark=False):
    """A page in a browser of its own; `profile` is a new folder."""
    to_read, to_write = os.pipe(), os.pipe()
    command = f'exec "$0" "$@" 3<&{to_read[0]} 4>&{to_write[1]}'
    # not sh: some take no numbers of two digits there
    words = ["bash", "-c", command, find_chromium(), *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    browser = subprocess.Popen(words, pass_fds=(to_read[0], to_write[1]), stderr=subprocess.DEVNULL)
    os.close(to_read[0])
    os.close(to_write[1])
    rest = b""

    def send(message):
        os.write(to_read[1], json.dumps(message).encode() + b"\0")

    def receive():
        nonlocal rest
        while b"\0" not in rest:
            block = os.read(to_write[0], 1 << 20)
            if not block:
                raise EOFError("the browser ended")
            rest += block
        message, _, rest = rest.partition(b"\0")
        return json.loads(message)

    try:
        page = Page(send, receive)
        page.attach(url, width, height, dark)
        yield page
    finally:
        browser.terminate()
        browser.wait(20)
        os.close(to_read[1])
        os.close(to_write[0])
