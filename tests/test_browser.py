"""Pages in a real browser, with the mouse: headless Chromium, by playwright.

`make install` brings the Chromium (`scripts/fetch_browser.py`); where that cannot be, one on the path serves, or one
that `NEARFUTURE_BROWSER` names, and without any these tests are skipped.

Not here: what the scripts compute, without a browser and everywhere (`test_scripts.py`).
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from run_folders import auto_run, grpo_run, npo_run

from nearfuture.lab.report import write_report
from nearfuture.lab.report.explain_page import write_explanation
from nearfuture.lab.report.watching import Watched, start, url

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
FETCHED = str(Path(sys.prefix) / "chromium" / "browser")
FOUND = os.environ.get("NEARFUTURE_BROWSER") or next(filter(None, map(shutil.which, (FETCHED, *NAMES))), None)
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra `dev`)")
HOW = "no Chromium: run `make install`, install one, or set NEARFUTURE_BROWSER"
pytestmark = pytest.mark.skipif(FOUND is None, reason=HOW)
SIZES = {"phone": (400, 800), "laptop": (1280, 800), "screen": (1920, 1080)}
DARK, LIGHT = (22, 24, 27), (253, 253, 251)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as play:
        found = play.chromium.launch(executable_path=FOUND, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, what one decided, and both side by side."""
    root = tmp_path_factory.mktemp("runs")
    npo, grpo = npo_run(root / "npo"), grpo_run(root / "grpo")
    write_report([npo, grpo], root / "npo" / "report" / "beside-grpo.html")
    write_explanation(npo)
    write_report([npo], root / "npo" / "report")
    return root


@pytest.fixture
def page(browser: Any, folder: Path) -> Iterator[Any]:
    """The page of both runs; a script that fails fails the test."""
    with opened(browser, folder / "npo" / "report" / "beside-grpo.html") as found:
        yield found


class opened:  # noqa: N801 (a context manager, called like a function)
    """A page in a window of its own, whose errors are raised."""

    def __init__(self, browser: Any, where: Path | str, **more: Any) -> None:
        width, height = SIZES["laptop"]
        self.context = browser.new_context(viewport={"width": width, "height": height}, color_scheme="light", **more)
        self.where = where if isinstance(where, str) else where.as_uri()
        self.errors: list[str] = []

    def __enter__(self) -> Any:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        page.goto(self.where)
        return page

    def __exit__(self, *_: object) -> None:
        self.context.close()
        assert self.errors == []


def hover(page: Any, number: int, share: float) -> str:
    """Put the mouse over a figure, at a share of its width, and return what is read there."""
    over = page.locator(".u-over").nth(number)
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    page.mouse.move(box["x"] + share * box["width"], box["y"] + 0.6 * box["height"])
    return str(page.locator(".tip").nth(number).inner_text())


def drag(page: Any, number: int, start_at: float, end_at: float) -> None:
    """Draw over a part of a figure with the mouse."""
    box = page.locator(".u-over").nth(number).bounding_box()
    page.mouse.move(box["x"] + start_at * box["width"], box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + end_at * box["width"], box["y"] + 60, steps=4)
    page.mouse.up()


def shown(page: Any, number: int = 0) -> dict[str, Any]:
    """What a figure shows: its curves, axis and range."""
    script = """(n) => {
        const { shown, axis, u } = figures[n], names = shown.map((c) => c.name + (c.part ? " " + c.part : ""));
        const [x, y] = [u.scales.x, u.scales.y];
        return { names, axis, range: [x.min, x.max], limits: [y.min, y.max], ys: shown.map((c) => c.ys) };
    }"""
    return dict(page.evaluate(script, number))


def test_hover_reads_all_curves_at_a_step(page: Any) -> None:
    read = hover(page, 0, 0.5)
    assert "optimizer step 6" in read and "npo" in read and "grpo" in read
    assert "0.5" in read and "0.44" in read  # 0.2 + 0.05 * 6, 0.2 + 0.04 * 6
    assert read.index("npo") < read.index("grpo")  # highest first
    page.mouse.move(0, 0)
    assert page.locator(".tip").first.is_hidden()


def test_drag_zooms_every_figure_of_the_axis_and_a_button_ends_it(page: Any) -> None:
    hover(page, 0, 0.1)
    reset = page.get_by_role("button", name="Reset zoom")
    assert reset.is_disabled()
    drag(page, 0, 0.25, 0.75)
    ranges = [shown(page, n)["range"] for n in range(3)]
    assert all(2 < low < 4 and 8 < high < 10 for low, high in ranges)
    reset.click()
    assert shown(page)["range"] == [0, 12] and reset.is_disabled()


def test_double_click_shows_everything_again(page: Any) -> None:
    hover(page, 0, 0.1)
    drag(page, 0, 0.25, 0.75)
    box = page.locator(".u-over").first.bounding_box()
    page.mouse.dblclick(box["x"] + 100, box["y"] + 50)
    assert shown(page)["range"] == [0, 12]


def test_runs_and_tails_are_switched_off_and_on(page: Any) -> None:
    chip = page.get_by_role("button", name="grpo")
    chip.click()
    assert "grpo" not in shown(page)["names"] and chip.get_attribute("aria-pressed") == "false"
    assert "grpo" not in hover(page, 0, 0.5)
    page.get_by_role("button", name="abandoned").click()
    assert set(shown(page)["names"]) == {"npo"}
    chip.dblclick()
    assert set(shown(page)["names"]) == {"grpo"}  # alone
    chip.dblclick()
    assert set(shown(page)["names"]) == {"npo", "grpo"}


def test_the_axis_changes_in_place(page: Any) -> None:
    ends = {"step": 12, "total_steps": 20, "tokens": 2800, "seconds": 55}
    for axis, end in ends.items():
        page.select_option("select[name=axis]", axis)
        assert shown(page)["axis"] == axis and shown(page)["range"][1] == end
    assert "seconds" in hover(page, 0, 0.9)


def test_smoothing_and_scale(page: Any) -> None:
    before = shown(page, 1)["ys"]
    page.locator("input[name=smoothing]").fill("4")
    after = shown(page, 1)["ys"]
    assert before != after and page.locator("output").inner_text() == "4 points"
    page.select_option("select[name=scale]", "log")
    low, high = shown(page, 2)["limits"]
    assert 0 < low < high


def test_samples_are_found(page: Any) -> None:
    listed, count = page.locator(".samples .list .sample"), page.locator(".samples .live > .where")
    num = listed.count()
    assert num > 1
    page.fill("input[name=words]", "no such words")
    assert listed.count() == 0 and count.inner_text().startswith("0 of")
    page.fill("input[name=words]", "")
    page.select_option("select[name=guided]", "yes")
    assert 0 < listed.count() < num and "guidance" in listed.first.inner_text()


@pytest.mark.parametrize(("kind", "look"), [("CSV", "run,part,step"), ("JSON", '[{"run"'), ("SVG", "<svg xmlns")])
def test_data_and_figure_are_saved(page: Any, kind: str, look: str, tmp_path: Path) -> None:
    menu = page.locator(".save").first
    menu.locator("summary").click()
    with page.expect_download() as held:
        menu.get_by_role("button", name=kind).click()
    held.value.save_as(tmp_path / "saved")
    assert (tmp_path / "saved").read_text().startswith(look)


def test_a_picture_is_saved(page: Any, tmp_path: Path) -> None:
    menu = page.locator(".save").first
    menu.locator("summary").click()
    with page.expect_download() as held:
        menu.get_by_role("button", name="PNG").click()
    held.value.save_as(tmp_path / "saved.png")
    assert (tmp_path / "saved.png").read_bytes()[:4] == b"\x89PNG"


def test_arrows_move_the_reading(page: Any) -> None:
    page.locator(".canvas").first.focus()
    page.keyboard.press("ArrowRight")
    first = page.locator(".tip").first.inner_text()
    page.keyboard.press("ArrowRight")
    assert "optimizer step" in first and page.locator(".tip").first.inner_text() != first


def colour(page: Any) -> tuple[int, ...]:
    said = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return tuple(json.loads(said.replace("rgb(", "[").replace(")", "]")))


@pytest.mark.parametrize("name", ["index.html", "explain.html", "beside-grpo.html"])
def test_both_themes_at_three_sizes(browser: Any, folder: Path, name: str) -> None:
    with opened(browser, folder / "npo" / "report" / name) as page:
        for (size, (width, height)), theme in itertools.product(SIZES.items(), ("light", "dark")):
            page.emulate_media(color_scheme=theme)
            page.set_viewport_size({"width": width, "height": height})
            assert colour(page) == {"light": LIGHT, "dark": DARK}[theme]
            # Figures follow a new width in the frame after it.
            fits = page.wait_for_function("document.documentElement.scrollWidth <= innerWidth", timeout=3000)
            assert fits.json_value(), f"{name} is wider than a {size}"
            assert page.locator(".canvas canvas").first.is_visible() and page.locator(".still").first.is_hidden()


def test_the_reader_chooses_the_theme(page: Any) -> None:
    button = page.get_by_role("button", name="Theme")
    button.click()
    button.click()
    assert button.inner_text() == "Theme: dark" and colour(page) == DARK
    page.reload()
    assert colour(page) == DARK
    page.get_by_role("button", name="Theme").click()
    assert colour(page) == LIGHT


def test_pages_of_a_folder_lead_to_each_other(browser: Any, folder: Path) -> None:
    with opened(browser, folder / "npo" / "report" / "explain.html") as page:
        page.locator(".pages summary").click()
        assert page.locator(".pages li").count() == 3
        page.get_by_role("link", name="npo beside grpo").click()
        assert "npo beside grpo" in page.title()
        page.get_by_role("link", name="Curves").click()
        assert page.url.endswith("#curves")


def test_without_scripts_everything_can_be_read(browser: Any, folder: Path) -> None:
    with opened(browser, folder / "npo" / "report" / "beside-grpo.html", java_script_enabled=False) as page:
        assert page.locator(".still svg.panel").count() == 9 and page.locator(".still svg.panel").first.is_visible()
        assert page.locator(".still .sample").first.is_visible()


def test_a_watched_run_is_seen_as_it_goes_on(browser: Any, tmp_path: Path) -> None:
    run = auto_run(tmp_path / "auto")
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(lines[:8]))
    server = start(Watched([run], 0.2), port=0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with opened(browser, url(server)) as page:
            page.select_option("select[name=axis]", "total_steps")
            before = shown(page, 1)["range"][1]
            (run / "metrics.jsonl").write_text("".join(lines))
            page.wait_for_function(f"figures[1].u.scales.x.max > {before}")
            assert shown(page)["axis"] == "total_steps"  # what the reader has set stays
            assert page.evaluate("uPlot.sync('shared-total_steps').plots.length") == 4  # those of before are gone
            said = "getComputedStyle(document.querySelector('.kind-of-page'), '::after').content"
            assert "live" in page.evaluate(said)
    finally:
        server.shutdown()
        server.server_close()
