"""Figures of `inn report` and of the pictures: a report opened in Chromium, what it asked for, how large it is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path

from common import WORK, inn, row, train

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
# What the browser asks for on its own account is left out by its initiator; this keeps most of it from being asked.
QUIET = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-default-apps",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


def requests(browser: str, page: Path, size: str = "1000,1400") -> tuple[list[str], Path]:
    """URLs that a page asked the network for, by Chromium's own log, and a screenshot."""
    work = WORK / f"browser-{page.stem}-{time.monotonic_ns()}"
    log, shot = work.with_suffix(".json"), work.with_suffix(".png")
    subprocess.run(
        [
            browser,
            *QUIET,
            f"--user-data-dir={work}",
            f"--log-net-log={log}",
            f"--screenshot={shot}",
            f"--window-size={size}",
            page.absolute().as_uri(),
        ],
        capture_output=True,
        timeout=120,
        check=True,
    )
    events = json.loads(log.read_text())["events"]
    asked = [event["params"] for event in events if {"url", "initiator"} <= set(event.get("params") or {})]
    # A file's origin is `null`; requests of the browser itself have none.
    return sorted({entry["url"] for entry in asked if entry["initiator"] != "not an origin"}), shot


def offline() -> None:
    """The report of a concrete run, opened in headless Chromium: requests that leave the page, and its size."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    run, _ = train("experiment=concrete")
    begun = time.process_time()
    inn("report", str(run.path))
    page = run.path / "report.html"
    row("5", "report of a concrete run, MB", page.stat().st_size / 1e6, "asked: one self-contained file")
    row("5", "links to other files or servers in its text", _links(page.read_text()), "asked: 0")
    if browser is None:
        print("5   Chromium is not installed: the requests of an opened report were not counted", flush=True)
        return
    found, shot = requests(browser, page, "1000,7000")
    row("5", "requests of the opened report", len(found), "asked: 0")
    bare = page.with_name("without_policy.html")
    bare.write_text(re.sub(r"<meta http-equiv[^>]*>", "", page.read_text()))
    row("5", "the same without its content security policy", len(requests(browser, bare)[0]), "asked: 0")
    spoiled = page.with_name("spoiled.html")
    image = '<img src="https://example.org/pixel.png">'
    spoiled.write_text(bare.read_text().replace("<main>", f"<main>{image}", 1))
    row("5", "control: the same with one image from elsewhere", len(requests(browser, spoiled)[0]), "asked: not 0")
    row(
        "5",
        "control: that image under the policy",
        len(requests(browser, _copy(page, "guarded", image))[0]),
        "asked: 0, the policy holds",
    )
    print(f"5   screenshot {shot} ({time.process_time() - begun:.0f} CPU-s of this process)", flush=True)


def _copy(page: Path, name: str, image: str) -> Path:
    path = page.with_name(f"{name}.html")
    path.write_text(page.read_text().replace("<main>", f"<main>{image}", 1))
    return path


def _links(text: str) -> int:
    return len(re.findall(r"""(?:src|href)=["'](?!data:)|url\(|@import|<script""", text))


def sameness() -> None:
    """Two reports of one run are the same bytes, and so are those written after the cache was deleted."""
    run, _ = train("trainer.max_steps=200")
    pages = []
    for fresh in (False, False, True):
        if fresh:
            shutil.rmtree(run.path / "evaluations")
        inn("report", str(run.path))
        pages.append((run.path / "report.html").read_bytes())
    row(
        "8",
        "reports of one run that differ from the first, of 2",
        sum(page != pages[0] for page in pages[1:]),
        "asked: 0",
    )
    other, _ = train("trainer.max_steps=200", "seed=1")
    inn("report", str(other.path))
    row(
        "8",
        "control: report of another seed differs",
        (other.path / "report.html").read_bytes() != pages[0],
        "asked: 1",
    )


FIGURES = {"offline": offline, "sameness": sameness}
