"""Tables in notebooks: the rows after the tenth are folded."""

from html.parser import HTMLParser

import pytest
from lines import befriend, purchase

from fastanomaly import Detector, sweep


class Rows(HTMLParser):
    """Counts the rows of data of each table outside and inside of details elements."""

    def __init__(self, page):
        super().__init__()
        self.visible, self.folded, self.summaries = [], [], []
        self.depth, self.in_body = 0, False
        self.last = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.last = tag
        found = self.folded if self.depth else self.visible
        if tag == "details":
            self.depth += 1
        elif tag == "tbody":
            found.append(0)
        elif tag == "tr" and found and self.in_body:
            found[-1] += 1
        self.in_body = tag == "tbody" or (self.in_body and tag != "table")

    def handle_endtag(self, tag):
        self.depth -= tag == "details"

    def handle_data(self, data):
        if self.last == "summary":
            self.summaries.append(data)
            self.last = ""


def explained(purchases):
    """Explain a flag that is compared with so many purchases."""
    detector = Detector(1, 50)
    detector.befriend("ann", "<bob>")
    for time in range(purchases):
        detector.record("<bob>", 10 + time % 3, time)
    return detector.explain("ann", 1601)


@pytest.mark.parametrize(
    ("purchases", "visible", "folded"),
    [(2, 2, []), (10, 10, []), (11, 10, [1]), (50, 10, [40])],
)
def test_an_explanation(purchases, visible, folded):
    why = explained(purchases)
    seen = Rows(why._repr_html_())
    assert (seen.visible[0], seen.folded) == (visible, folded)
    assert len(seen.summaries) == len(folded)
    if folded:
        marked = sum(index >= 10 for index in why.decisive)
        more = f", {marked} of them marked *" if marked else ""
        assert seen.summaries == [f"{folded[0]} more purchases{more}"]


def test_a_sweep(tmp_path):
    (tmp_path / "batch").write_bytes(befriend("a", "b") + purchase("a", 1) * 3)
    (tmp_path / "stream").write_bytes(purchase("b", 500) + b"")
    logs = (tmp_path / "batch", tmp_path / "stream")
    short = Rows(sweep(*logs, degrees=range(1, 11), tracked=[2])._repr_html_())
    assert (short.visible[-1], short.folded) == (10, [])
    long = sweep(*logs, degrees=range(1, 31), tracked=[2, 3], sigmas=[2, 3])._repr_html_()
    seen = Rows(long)
    assert (seen.visible[-2:], seen.folded) == ([10, 10], [20, 20])
    assert seen.summaries == ["20 more degrees"] * 2
    for degree in range(1, 31):  # each once in each table
        assert long.count(f">D = {degree}<") == 2
    assert long.count("style=") == 2 * 30 * 2
