"""The pages of the API reference, which are filled in when the site is built."""

import importlib.util
import re
import subprocess
import sys

import pytest
from checkout import ROOT

PAGES = sorted(ROOT.glob("docs/api-*.md"))
pytestmark = pytest.mark.skipif(not PAGES, reason="not in a checkout: no docs/")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_of_directives_says_where_else_to_read(page):
    text = page.read_text()
    assert "\n::: fastanomaly." in text
    note = re.search(r"\n> Lines that begin with `:::`.*\n> `help\((.*)\)`", text)
    assert note is not None
    code = f"import fastanomaly; help({note[1]})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert b"Help on " in done.stdout


def test_the_site_has_no_such_note():
    path = ROOT / "scripts" / "build_site.py"
    spec = importlib.util.spec_from_file_location("build_site", path)
    build_site = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build_site)
    for page in PAGES:
        text = build_site.adapted(page.read_text())
        assert "Lines that begin" not in text
        assert text.startswith("# ")
        assert "\n::: fastanomaly." in text
