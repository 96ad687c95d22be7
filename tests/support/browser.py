"""Chromium without a window, driven by the devtools protocol over two pipes."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.conftest import require

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe")
ITS_OWN = (3, 4)
"""The file descriptors that the browser reads commands from, and writes answers to."""
FAR = 64
PATIENCE = 60.0
"""Seconds until a page must have done what it was asked for."""


class Browser:
    """One page of a browser; a context manager. ``asked`` are the addresses that the page asked for, its own left out."""

    def __init__(self, folder: Path) -> None:
        commands, self._to = os.pipe()
        self._from, answers = os.pipe()
        program = [require("chromium"), *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"]
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, FAR) for end in (commands, answers)]

        def plumb() -> None:
            for number, end in zip(ITS_OWN, ends, strict=True):
                os.dup2(end, number)

        self._process = subprocess.Popen(
            program,
            preexec_fn=plumb,  # noqa: PLW1509  no thread runs here
            pass_fds=ITS_OWN,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        for end in (commands, answers, *ends):
            os.close(end)
        self._number, self._rest, self._session = 0, b"", ""
        self.asked: list[str] = []
        self.errors: list[str] = []
        page = next(t for t in self._call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        attached = self._call("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "DOM", "Log"):
            self._call(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session = ""
        self._call("Browser.close")
        self._process.wait(timeout=PATIENCE)
        os.close(self._to)
        os.close(self._from)

    def open(self, page: Path, ready: str) -> None:
        """Open a file, and wait until the expression ``ready`` is true."""
        self.asked.clear()
        self.errors.clear()
        self._call("Page.navigate", url=page.as_uri())
        self.until(ready)
        self.asked = [url for url in self.asked if url != page.as_uri()]

    def run(self, expression: str) -> Any:
        """The value of an expression of JavaScript; a promise is awaited."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.run(f"!!({expression})"):
            assert time.monotonic() < end, f"never true: {expression}; {self.errors}"
            time.sleep(0.02)

    def choose(self, selector: str, file: Path) -> None:
        """Choose a file in an input of the page."""
        root = self._call("DOM.getDocument")["root"]["nodeId"]
        node = self._call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self._call("DOM.setFileInputFiles", files=[str(file)], nodeId=node)

    def resize(self, width: int, height: int) -> None:
        """Give the page so many pixels."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def picture(self) -> str:
        """What is shown, as a PNG in base64."""
        return str(self._call("Page.captureScreenshot", format="png", optimizeForSpeed=False)["data"])

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press and release a key."""
        keys = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self._call("Input.dispatchKeyEvent", type="keyDown", **keys, **({"text": text} if text else {}))
        self._call("Input.dispatchKeyEvent", type="keyUp", **keys)

    def spoken(self) -> list[tuple[str, str]]:
        """Role and name of everything that a screen reader finds."""
        nodes = self._call("Accessibility.getFullAXTree")["nodes"]
        told = [n for n in nodes if not n["ignored"]]
        return [(n["role"]["value"], n.get("name", {}).get("value", "")) for n in told]

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return dict(answer["result"])
            self._hear(answer)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._from, 1 << 16)
            assert part, "the browser has ended"
            self._rest += part
        line, self._rest = self._rest.split(b"\0", 1)
        return dict(json.loads(line))

    def _hear(self, event: dict[str, Any]) -> None:
        given = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent":
            self.asked.append(given["request"]["url"])
        elif event.get("method") == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(given["exceptionDetails"]))
        elif event.get("method") == "Log.entryAdded" and given["entry"]["level"] == "error":
            self.errors.append(given["entry"]["text"])
