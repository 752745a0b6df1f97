"""The report in headless Chromium: it works, without errors and without a network."""

import json
import shutil
from typing import Any

import pytest
from cli.commandline import SANITIZED
from lines import befriend, purchase
from published import published

from fastanomaly import Simulation, detect, report, simulate

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
pytest.importorskip("plotly", reason="a report needs the extra report")
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
    pytest.mark.skipif(SANITIZED, reason="browsers do not start with a sanitizer preloaded"),
]
ROWS = "#table > tbody > tr.flag"


@pytest.fixture(scope="module")
def browser():
    """A browser without a display, a sandbox (root cannot have one) or background traffic."""
    options = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


class Opened:
    """An open report; at the end, checks that nothing failed and nothing was requested."""

    def __init__(self, browser, path, **options):
        self.path = path
        self.errors, self.requests = [], []
        self.page = browser.new_page(**options)
        self.page.on("console", lambda message: self.errors.append(message.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", lambda dialog: self.errors.append(dialog.message))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.page.wait_for_timeout(100)
        outside = [url for url in self.requests if not url.startswith(("data:", "blob:"))]
        self.page.close()
        if kind is None:
            assert self.errors == []
            assert outside == [self.path.as_uri()]

    def cells(self, column):
        """Return the texts of a column on the current page of the table."""
        return self.page.locator(f"{ROWS} > td:nth-child({column})").all_inner_texts()

    def explanation(self):
        """Wait for the open explanation to be drawn, and return it."""
        self.page.wait_for_selector("td.explanation .chart.js-plotly-plot")
        return self.page.locator("td.explanation")


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """A report with 10,000 flags, and the flags as detect writes them."""
    folder = tmp_path_factory.mktemp("crowded")
    batch, stream, out = (folder / name for name in ("batch", "stream", "out"))
    simulation = Simulation(users=300, batch_events=20_000, stream_events=30_000, seed=5)
    simulate(batch, stream, simulation)
    setting: dict[str, Any] = {"degree": 1, "tracked": 10, "sigmas": 0}
    detect(batch, stream, out, **setting)
    page = folder / "report.html"
    page.write_text(report(batch, stream, **setting, degrees=[2], other_tracked=[20]))
    flags = [json.loads(line) for line in out.read_bytes().splitlines()]
    assert len(flags) >= 10_000
    return page, flags


def test_sorting_and_paging_ten_thousand_flags(browser, crowded):
    path, flags = crowded
    amounts = sorted((float(flag["amount"]) for flag in flags), reverse=True)
    with Opened(browser, path) as opened:
        page = opened.page
        assert page.locator("#count").inner_text() == f"{len(flags):,} flagged"
        assert page.locator(ROWS).count() == 50  # one page
        assert opened.cells(3) == [flag["id"] for flag in flags[:50]]
        head = page.get_by_role("columnheader", name="amount")
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == "descending"
        assert list(map(float, opened.cells(4))) == amounts[:50]
        page.get_by_role("button", name="Next").click()
        assert list(map(float, opened.cells(4))) == amounts[50:100]
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == "ascending"
        assert list(map(float, opened.cells(4))) == amounts[::-1][:50]
        assert page.get_by_role("button", name="Previous").is_disabled()


def test_searching_ten_thousand_flags(browser, crowded):
    path, flags = crowded
    user = flags[123]["id"]
    amount = flags[123]["amount"]
    with Opened(browser, path) as opened:
        page = opened.page
        page.get_by_label("Search").fill(f"{amount} {user}")
        assert (user, amount) in zip(opened.cells(3), opened.cells(4), strict=True)
        assert f"of {len(flags):,} flagged" in page.locator("#count").inner_text()
        page.get_by_label("Search").fill("no such thing")
        assert page.locator(ROWS).count() == 0
        assert page.locator("#count").inner_text() == f"0 of {len(flags):,} flagged"
        page.get_by_label("Search").fill("")
        assert page.locator(ROWS).count() == 50


def test_an_explanation_by_keyboard_alone(browser, crowded):
    path, flags = crowded
    with Opened(browser, path) as opened:
        page = opened.page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the charts"
        for _ in range(40):  # colours, search, nine columns, then the first row
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.matches('tr.flag button')"):
                break
        page.keyboard.press("Enter")
        text = opened.explanation().inner_text()
        assert f"user {flags[0]['id']} spent" in text
        assert f"mean {flags[0]['mean']}, sd {flags[0]['sd']}" in text
        assert "At other settings" in text
        focused = page.locator("tr.flag button").first
        assert focused.get_attribute("aria-expanded") == "true"
        page.keyboard.press("Enter")
        assert page.locator("td.explanation").count() == 0
        assert focused.get_attribute("aria-expanded") == "false"


def test_a_point_opens_its_explanation(browser, crowded):
    path, flags = crowded
    with Opened(browser, path) as opened:
        opened.page.evaluate(
            "document.getElementById('amounts').emit("
            "'plotly_click', {points: [{customdata: 7777}]})"
        )
        assert f"user {flags[7777]['id']} spent" in opened.explanation().inner_text()
        assert opened.page.locator("#page").inner_text().startswith("Page 156 of")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility(browser, crowded, scheme):
    """axe finds no violation of WCAG: contrast, names, roles, order."""
    with Opened(browser, crowded[0], color_scheme=scheme) as opened:
        page = opened.page
        assert page.evaluate("document.documentElement.classList.contains('dark')") == (
            scheme == "dark"
        )
        page.locator("tr.flag button").first.click()
        opened.explanation()
        for summary in page.locator("details summary").all():
            summary.click()
        found = axe.Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


def test_the_colours_can_be_chosen(browser, crowded):
    with Opened(browser, crowded[0], color_scheme="light") as opened:
        colour = "getComputedStyle(document.querySelector('#settings .ytick text')).fill"
        light = opened.page.evaluate(colour)
        opened.page.get_by_label("Colours").select_option("dark")
        opened.page.wait_for_function(f"{colour} !== {light!r}")
        assert opened.page.evaluate("document.documentElement.className") == "dark"


def test_the_published_log(browser, tmp_path):
    folder = published("real10k")
    path = tmp_path / "report.html"
    path.write_text(report(folder / "batch_log.json", folder / "stream_log.json"))
    expected = (folder / "flagged_purchases.json").read_bytes().splitlines()
    flags = [json.loads(line) for line in expected]
    with Opened(browser, path) as opened:
        for column, name in ((3, "id"), (4, "amount"), (5, "mean"), (6, "sd")):
            assert opened.cells(column) == [flag[name] for flag in flags]
        assert opened.page.locator(".chart.js-plotly-plot").count() == 4
        opened.page.locator("tr.flag button").last.click()
        assert f"user {flags[-1]['id']} spent" in opened.explanation().inner_text()


def test_ids_that_look_like_html(browser, tmp_path):
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)> {data} &amp;"
    batch, stream = tmp_path / "batch", tmp_path / "stream"
    lines = [befriend("b", evil), *(purchase("b", amount) for amount in (10, 11, 12))]
    batch.write_bytes(b"".join(lines))
    stream.write_bytes(purchase(evil, 500) + b"</script>\n")
    path = tmp_path / "report.html"
    title = "<i>Title</i>"
    path.write_text(report(batch, stream, degree=1, tracked=5, title=title))
    with Opened(browser, path) as opened:
        assert opened.page.title() == title
        assert opened.page.get_by_role("heading", level=1).inner_text() == title
        assert opened.cells(3) == [evil]
        opened.page.locator("tr.flag button").click()
        assert f"user {evil} spent 500.00" in opened.explanation().inner_text()
        assert "not_json" in opened.page.locator("#rejected").inner_text()


def test_nothing_flagged(browser, tmp_path):
    (tmp_path / "batch").write_text("")
    (tmp_path / "stream").write_text("")
    path = tmp_path / "report.html"
    path.write_text(report(tmp_path / "batch", tmp_path / "stream", degree=2, tracked=5))
    with Opened(browser, path) as opened:
        assert opened.page.get_by_text("No purchase was flagged.").is_visible()
        assert opened.page.get_by_role("table", name="Other D and T").count() == 0
        assert opened.page.locator(".chart.js-plotly-plot").count() == 1
