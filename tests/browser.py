"""A headless Chromium, driven through its own debugging protocol over a pipe."""

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import time

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
needs_browser = pytest.mark.skipif(
    BROWSER is None, reason="no Chromium here: apt-get install chromium"
)
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--remote-debugging-pipe"),
]
# The protocol has the browser read from descriptor 3 and write to 4.
SHELL = 'exec "$@" 3<&{} 4>&{}'


class Browser:
    """One page of one browser; ``complaints`` is what it said on its console, or failed to load.

    Parameters
    ----------
    profile : Path
        An empty folder for what the browser keeps.
    """

    def __init__(self, profile):
        from_us, self._commands = os.pipe()
        self._answers, to_us = os.pipe()
        shell = ["bash", "-c", SHELL.format(from_us, to_us), "bash"]
        command = [*shell, BROWSER, *FLAGS, f"--user-data-dir={profile}"]
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(command, pass_fds=(from_us, to_us), **silent)
        os.close(from_us)
        os.close(to_us)
        self._numbers, self._rest, self._session = itertools.count(1), b"", None
        self._loaded = False
        self.complaints = []

    def __enter__(self):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *_):
        os.close(self._commands)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._answers)

    def call(self, method, **parameters):
        """Give one command of the protocol and wait for its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def goto(self, url, seconds=60):
        """Open a page and wait until all of it is loaded."""
        self._loaded = False
        self.call("Page.navigate", url=url)
        end = time.monotonic() + seconds
        while not self._loaded:
            self._read(max(0.0, end - time.monotonic()))

    def evaluate(self, script):
        """Return the value of a JavaScript expression; a promise is waited for."""
        options = {"returnByValue": True, "awaitPromise": True}
        answer = self.call("Runtime.evaluate", expression=script, **options)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, script, seconds=120):
        """Wait until an expression is true; gives its value."""
        end = time.monotonic() + seconds
        while not (value := self.evaluate(script)):
            assert time.monotonic() < end, f"not true within {seconds} s: {script}"
            time.sleep(0.1)
        return value

    def click(self, x, y):
        """Press and release the mouse at a point of the window."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased"):
            where = {"x": x, "y": y, "button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", type=kind, **where)

    def resize(self, width, height, *, phone=False):
        """Give the window a size in CSS pixels, with the habits of a phone or without."""
        size = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1}
        self.call("Emulation.setDeviceMetricsOverride", mobile=phone, **size)

    def picture(self, path, *, whole=False):
        """Save what is seen, or the whole page, as png."""
        taken = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(taken["data"]))
        return path

    def _read(self, seconds=60.0):
        end = time.monotonic() + seconds
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"the browser said nothing for {seconds:.0f} s"
            piece = os.read(self._answers, 1 << 20)
            assert piece, "the browser has ended"
            self._rest += piece
        raw, self._rest = self._rest.split(b"\0", 1)
        message = json.loads(raw)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, event, details):
        if event == "Page.loadEventFired":
            self._loaded = True
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(details["exceptionDetails"]["text"])
        elif event == "Runtime.consoleAPICalled" and details["type"] in ("error", "assert"):
            said = [str(a.get("value", a.get("description"))) for a in details["args"]]
            self.complaints.append(" ".join(said))
        elif event == "Log.entryAdded" and details["entry"]["level"] == "error":
            self.complaints.append(f"{details['entry']['text']} {details['entry'].get('url', '')}")
        elif event == "Network.loadingFailed" and not details.get("canceled"):
            self.complaints.append(f"not loaded: {details['errorText']}")
