"""How big pages are, and how soon a browser paints them and has brought them to life.

What it does: opens each page a few times in a fresh window of headless Chromium and reads the browser's clock: first
contentful paint, and the moment all scripts have run. The same of the fallback without scripts.

What it leaves out: making the pages (`nearfuture report`, `report_time.py` for 40 runs), the network: there is none.

    python measurements/page_load.py runs/demo/npo/report/index.html runs/report_time/study/report/index.html
"""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, sync_playwright

PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
LOADED = "performance.timing.loadEventEnd - performance.timing.navigationStart"
NUM_TIMES = 5


def opened(browser: Browser, page: Path, *, scripts: bool = True) -> tuple[float, float, int]:
    """Milliseconds to the first paint and to the end of loading, and how many figures can be handled."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    window = context.new_page()
    if not scripts:
        window.route("**/*", lambda route: route.fulfill(body=unscripted(page), content_type="text/html"))
    window.goto(page.resolve().as_uri())
    window.wait_for_function(f"({PAINT}) > 0")
    found = (window.evaluate(PAINT), window.evaluate(LOADED), window.locator(".canvas canvas").count())
    context.close()
    return found


def unscripted(page: Path) -> str:
    """The page without its scripts."""
    return re.sub(r"<script.*?</script>", "", page.read_text("utf-8"), flags=re.DOTALL)


def main() -> None:
    """Open, time, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", type=Path, nargs="+")
    parser.add_argument("--browser", default=shutil.which("chromium") or shutil.which("google-chrome"))
    options = parser.parse_args()
    print("| page | MB | figures | first paint, ms | alive, ms | first paint without scripts, ms |")
    print("|---|---|---|---|---|---|")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=options.browser, args=["--no-sandbox"])
        for page in options.pages:
            times: list[Any] = [opened(browser, page) for _ in range(NUM_TIMES)]
            bare = [opened(browser, page, scripts=False)[0] for _ in range(NUM_TIMES)]
            paint, alive = (median(time[i] for time in times) for i in (0, 1))
            size = page.stat().st_size / 1e6
            print(
                f"| {page} | {size:.2f} | {times[0][2]} | {paint:.0f} | {alive:.0f} | {median(bare):.0f} |", flush=True
            )
        browser.close()


if __name__ == "__main__":
    main()
