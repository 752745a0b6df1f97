"""What notebooks display: complete tables, in which ids are escaped."""

from html.parser import HTMLParser

import pytest
from lines import befriend, parameters, purchase

from fastanomaly import Detector, sweep

EVIL = "<script>alert('&')</script>"


class Tags(HTMLParser):
    """Checks that all tags are closed, and collects tags and text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.text = [], set(), ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data + " "


@pytest.fixture
def detector():
    detector = Detector(2, 50)
    detector.befriend("ann", EVIL)
    for second, amount in enumerate(["16.83", "59.28", "11.20"]):
        detector.record(EVIL, amount, f"2017-06-13 11:33:0{second}")
    return detector


def test_a_flag(detector):
    detector.befriend("bob", EVIL)
    for time in range(3):
        detector.record("bob", 10, time)
    page = Tags(detector.purchase(EVIL, 99, 10)._repr_html_())
    assert EVIL in page.text
    assert "script" not in page.seen
    assert "99.00" in page.text


def test_an_explanation(detector):
    page = Tags(detector.explain("ann", 1601)._repr_html_())
    assert EVIL in page.text
    assert "script" not in page.seen
    assert (
        "removing the 2 purchases marked * clears the flag; no smaller set does" in page.text
    )


def test_an_explanation_as_str(detector):
    found = detector.explain("ann", 1601)
    assert str(found) == f"{found}" == found.to_text()
    assert str(found).startswith("user ann spent 1601.00: flagged\n")
    assert repr(found).startswith("Explanation(user='ann', amount_units=1601000000, ")


def test_an_id_from_right_to_left_does_not_reorder_the_sentence():
    detector = Detector(2, 50)
    hebrew, arabic = "\u05d0\u05d1", "\u0627\u0628 7"
    detector.befriend("ann", hebrew)
    detector.befriend(hebrew, arabic)
    for second in range(3):
        detector.record(arabic, "16.83", f"2017-06-13 11:33:0{second}")
    seen = Tags(detector.explain("ann", "1601.83")._repr_html_())
    assert f"ann \u2013 \u2068{hebrew}\u2069 \u2013 \u2068{arabic}\u2069" in seen.text
    seen = Tags(detector.explain(arabic, "1601.83")._repr_html_())
    assert f"user \u2068{arabic}\u2069 spent 1601.83: " in seen.text
    assert "\u2068" not in str(detector.explain("ann", "1601.83"))


def test_a_sweep(tmp_path):
    lines = [parameters(1, 2), befriend("a", "b")]
    lines += [purchase("a", 10 + i, f"2017-06-13 11:33:0{i}") for i in range(9)]
    (tmp_path / "batch").write_bytes(b"".join(lines))
    (tmp_path / "stream").write_bytes(purchase("b", 500, "2017-06-13 11:33:09"))
    result = sweep(tmp_path / "batch", tmp_path / "stream", degrees=[1, 2], tracked=[2, 5])
    page = Tags(result._repr_html_())
    assert "1 purchase judged under 4 settings" in page.text
    assert page.text.count("D = ") == 2
    assert result.flags.tolist() == [1, 1, 1, 1]
    assert result.agreement().tolist() == [[1.0] * 4] * 4
    assert result.cell(2, 5) == 3
    with pytest.raises(KeyError, match="D3_T5_k3: not in the grid"):
        result.cell(3, 5)


def test_tables_of_other_libraries(tmp_path):
    pa = pytest.importorskip("pyarrow", reason="needs the extra arrow")
    (tmp_path / "batch").write_text("")
    (tmp_path / "stream").write_text("")
    result = sweep(tmp_path / "batch", tmp_path / "stream", degrees=[1, 2], tracked=[2])
    table = result.to_arrow()
    assert isinstance(table, pa.Table)
    assert table.column("flags").to_pylist() == [0, 0]
    pd = pytest.importorskip("pandas", reason="needs pandas")
    pd.testing.assert_frame_equal(result.to_pandas(), table.to_pandas())


def test_an_explanation_as_tables_of_other_libraries(detector):
    detector.record("ann", 7, 99)
    pa = pytest.importorskip("pyarrow", reason="needs the extra arrow")
    found = detector.explain("ann", 1601)
    table = found.to_arrow()
    assert isinstance(table, pa.Table)
    assert table.to_pylist()[0] == {
        "user": EVIL,
        "degree": 1,
        "path": f"ann - {EVIL}",
        "timestamp": "2017-06-13 11:33:02",
        "amount": 11.2,
        "decisive": True,
    }
    assert table.column("amount").to_pylist() == [11.2, 59.28, 16.83]
    assert table.column("decisive").to_pylist() == [True, False, True]
    pd = pytest.importorskip("pandas", reason="needs pandas")
    frame = found.to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert frame.to_dict("records") == table.to_pylist()
    assert detector.explain("nobody", 1).to_pandas().empty
