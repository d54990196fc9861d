"""Drive the vendors' clients against a sandbox, and look at what it received: ``check_clients PYTHON [MODULES]``.

PYTHON has the packages of requirements.txt; MODULES is a folder ``node_modules`` with those of package.json. In an
environment with audience-sync; the browser's client needs Playwright and Chromium.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import Request, urlopen

from audience_sync.sandbox.keys import CONNECT_PAIRS, RUDDERSTACK_KEY, SEGMENT_KEY

HERE = Path(__file__).parent
KEYS = {"segment": SEGMENT_KEY, "rudderstack": RUDDERSTACK_KEY, "outbound": CONNECT_PAIRS[0].private}
ALL = ("identify", "track", "page", "screen", "group", "alias")
#: The types of calls that each client sends.
TYPES = {
    "segment": ALL,
    "rudderstack": ALL,
    "outbound": ("identify", "track"),
    "browser": ("identify", "page", "track"),
}
SEND = """
const load = AnalyticsNext.AnalyticsBrowser.load(
  { writeKey: "%(key)s", cdnURL: "%(url)s" },
  { integrations: { "Segment.io": { apiHost: "%(host)s/v1", protocol: "http" } } });
load.then(async ([analytics]) => {
  await analytics.identify("C-1", { vip: true, plan: "pro", revenue: 120.5 });
  await analytics.track("Paid", { total: 12.5 });
  await analytics.page("Home");
  document.title = "sent";
});
"""


class Sandbox:
    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process, self.url = process, url

    def calls(self) -> list[dict[str, Any]]:
        with urlopen(f"{self.url}/calls.json", timeout=30) as answer:
            found: list[dict[str, Any]] = json.load(answer)["calls"]
            return found

    def clear(self) -> None:
        with urlopen(Request(f"{self.url}/clear", b""), timeout=30):
            pass


@contextmanager
def sandbox(folder: str) -> Iterator[Sandbox]:
    command = [sys.executable, "-m", "audience_sync", "sandbox", "--port", "0", "--json"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Sandbox(process, json.loads("".join(process.stdout.readline() for _ in range(4)))["address"])
    finally:
        process.terminate()
        process.wait(30)


def problems(name: str, calls: list[dict[str, Any]]) -> list[str]:
    """Return what differs from the facts that were sent."""
    found = [
        f"{call['type']}: {call['outcome']}, {call['problems']}" for call in calls if call["outcome"] != "accepted"
    ]
    types = sorted(call["type"] for call in calls)
    if types != sorted(TYPES[name]):
        found.append(f"received {', '.join(types) or 'nothing'}")
    found += [f"{call['type']} about {call['user']}" for call in calls if call["user"] != "C-1"]
    changes = [each for call in calls if call["type"] == "identify" for each in call["changes"]]
    values = {each["property"]: each["new"] for each in changes}
    if values.get("vip") is not True or values.get("revenue") != 120.5:
        found.append(f"identify changed {values}")
    return found


def send_by_browser(url: str, key: str, modules: str) -> None:
    from playwright.sync_api import sync_playwright

    with TemporaryDirectory() as folder:
        umd = Path(modules, "@segment", "analytics-next", "dist", "umd")
        shutil.copytree(umd, folder, dirs_exist_ok=True)
        shutil.copy(umd / "index.js", Path(folder, "client.js"))
        shutil.copy(HERE / "browser.html", folder)
        Path(folder, "send.js").write_text(SEND % {"key": key, "url": url, "host": url.removeprefix("http://")})
        with served(folder) as address, sync_playwright() as play:
            browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_page()
            page.goto(f"{address}/browser.html")
            page.wait_for_function("document.title === 'sent'", timeout=30_000)
            page.wait_for_timeout(500)
            browser.close()


@contextmanager
def served(folder: str) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def main(python: str, modules: str = "") -> int:
    failed = 0
    with TemporaryDirectory() as folder, sandbox(folder) as running:

        def check(label: str, name: str) -> int:
            found = problems(name, running.calls())
            running.clear()
            print(f"{label}: {'; '.join(found) or 'passed'}", flush=True)
            return bool(found)

        for name, key in KEYS.items():
            command = [python, str(HERE / "python_clients.py"), name, running.url, key]
            failed += subprocess.run(command).returncode != 0
            failed += check(f"{name}, Python", name)
        for name, key in KEYS.items() if modules else ():
            command = ["node", str(HERE / "node_clients.cjs"), modules, name, running.url, key]
            failed += subprocess.run(command).returncode != 0
            failed += check(f"{name}, Node", name)
        if modules and shutil.which("chromium"):
            send_by_browser(running.url, SEGMENT_KEY, modules)
            failed += check("segment, browser", "browser")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
