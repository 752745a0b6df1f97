"""The layout of the report on a phone and on a desktop, and its content security policy."""

import re

import profiles
import pytest
from lines import befriend, purchase
from report.test_browser import Opened, axe, browser, pytestmark  # noqa: F401 - used by pytest

from fastanomaly import Simulation, report, simulate

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
LAYOUTS = [(PHONE, "dark"), (DESKTOP, "light"), (PHONE, "light"), (DESKTOP, "dark")]
HOSTILE = ("x" * 3000, "مرحبا " * 40, "a\tb\u202e\x1b[31mred", "日本語" * 60)
LEGENDS = """() => [...document.querySelectorAll('.legend')].map(legend => {
    const plot = legend.nextElementSibling.getBoundingClientRect();
    return [legend.children.length, legend.getBoundingClientRect().bottom <= plot.top];
})"""
CLIPPED = """() => [...document.querySelectorAll('#table *, figcaption, h1, h2, .figures *')]
    .filter(e => getComputedStyle(e).clipPath === 'none' && !e.closest('svg, thead, .chart'))
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML)"""
SMALL = """() => [...document.querySelectorAll('button, input, select, summary')]
    .filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 43.9)
    .map(e => e.outerHTML)"""


@pytest.fixture(scope="module", params=["usual", "hostile", "none"])
def page_path(request, tmp_path_factory):
    """A report with flags, with hostile ids, and without flags."""
    folder = tmp_path_factory.mktemp(request.param)
    batch, stream = folder / "batch", folder / "stream"
    if request.param == "usual":
        simulate(batch, stream, Simulation(users=1000, batch_events=20_000, dirty_share=0.01))
    else:
        lines = [befriend("b", user) for user in HOSTILE]
        lines += [purchase(user, 10 + i) for i in range(8) for user in HOSTILE]
        batch.write_bytes(b"".join(lines))
        amount = 1 if request.param == "none" else "123456.654321"
        stream.write_bytes(purchase("b", amount) + purchase(HOSTILE[0], amount))
    path = folder / "report.html"
    path.write_text(report(batch, stream, degree=2, tracked=50), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("size", "scheme"),
    LAYOUTS[: profiles.current().layouts],
    ids=lambda value: value if isinstance(value, str) else f"{value['width']}px",
)
def test_layout(browser, page_path, size, scheme):  # noqa: F811 - the fixture
    with Opened(browser, page_path, viewport=size, color_scheme=scheme) as opened:
        page = opened.page
        if page.locator("tr.flag").count():
            page.locator("tr.flag button").first.click()
            opened.explanation()
            page.wait_for_function("document.querySelector('td.explanation .legend')")
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert page.evaluate(CLIPPED) == []
        for entries, above_the_plot in page.evaluate(LEGENDS):
            assert (entries >= 2, above_the_plot) == (True, True)
        assert page.locator(".chart .legend").count() == 0  # Plotly's, over the plot
        flags, charts = page.locator("#flags"), page.locator("#charts")
        assert flags.bounding_box()["y"] < charts.bounding_box()["y"]
        if size is PHONE:
            assert page.evaluate(SMALL) == []
        found = axe.Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


def test_no_row_of_charts_is_half_empty(browser, page_path):  # noqa: F811
    with Opened(browser, page_path, viewport=DESKTOP) as opened:
        boxes = [figure.bounding_box() for figure in opened.page.locator("figure").all()]
        full = opened.page.locator("#charts").bounding_box()["width"]
        for top in {box["y"] for box in boxes}:
            row = [box["width"] for box in boxes if box["y"] == top]
            assert sum(row) == pytest.approx(full, abs=32)


def test_the_placeholder_is_not_clipped(browser, page_path):  # noqa: F811
    for size in (PHONE, DESKTOP):
        with Opened(browser, page_path, viewport=size) as opened:
            search = opened.page.locator("#search")
            if not search.count():  # no flags
                continue
            space = search.evaluate(
                """e => { const style = getComputedStyle(e);
                const context = document.createElement('canvas').getContext('2d');
                context.font = style.font;
                return e.clientWidth - parseFloat(style.paddingLeft)
                    - parseFloat(style.paddingRight)
                    - context.measureText(e.placeholder).width; }"""
            )
            assert space > 20  # and the button that clears the search


def test_the_policy(browser, page_path):  # noqa: F811
    """Only the page's own scripts run, and nothing is requested."""
    text = page_path.read_text("utf-8")
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', text)[1]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    for name in ("default-src", "base-uri", "form-action"):
        assert rules[name] == "'none'"
    for name in ("script-src", "style-src-elem"):
        assert "unsafe" not in rules[name]
    opened = Opened(browser, page_path)
    page = opened.page
    assert page.locator(".chart.js-plotly-plot").count() >= 1
    assert opened.errors == []
    page.evaluate(
        """() => {
            document.body.append(Object.assign(
                document.createElement('script'), {textContent: 'window.ran = true'}));
            return fetch('data:,').catch(() => 'blocked');
        }"""
    )
    assert page.evaluate("window.ran") is None
    assert any("script-src" in error for error in opened.errors)
    page.close()


def test_amounts_have_two_decimals(browser, tmp_path):  # noqa: F811
    """Exact amounts are in the explanation, and can be searched."""
    batch, stream = tmp_path / "batch", tmp_path / "stream"
    batch.write_bytes(befriend("b", "c") + purchase("c", 10) + purchase("c", "10.000001"))
    stream.write_bytes(purchase("b", "20.123456") + purchase("b", "10.000003"))
    path = tmp_path / "report.html"
    path.write_text(report(batch, stream, degree=1, tracked=5))
    with Opened(browser, path) as opened:
        assert opened.cells(4) == ["20.12", "10.00"]
        assert opened.cells(7) == ["10.00", "10.00"]
        assert opened.cells(8) == ["10.12", "<0.01"]
        opened.page.locator("#search").fill("20.123456")
        assert opened.cells(4) == ["20.12"]
        opened.page.locator("tr.flag button").click()
        assert "spent 20.123456" in opened.explanation().inner_text()


@pytest.mark.parametrize("width", [390, 641, 700, 820, 1030, 1280])
def test_no_table_is_wider_than_its_place(browser, page_path, width):  # noqa: F811
    """Neither the flags nor an explanation have to be scrolled sideways."""
    with Opened(browser, page_path, viewport={"width": width, "height": 844}) as opened:
        page = opened.page
        if page.locator("tr.flag").count():
            page.locator("tr.flag button").first.click()
            opened.explanation()
        hidden = page.evaluate(
            """() => [...document.querySelectorAll('#flags .scroll, #flags .text')]
            .map(e => e.scrollWidth - e.clientWidth)"""
        )
        assert max(hidden, default=0) == 0
