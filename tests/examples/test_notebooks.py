"""The notebooks of examples/ run, and what stands in them is what they show."""

import pytest
from cli.commandline import SANITIZED

for name in ("ipykernel", "nbclient", "pandas", "matplotlib"):
    pytest.importorskip(name, reason=f"the notebooks need {name}")

import notebooks  # noqa: E402 - after what it needs has been looked for

pytestmark = [
    pytest.mark.skipif(SANITIZED, reason="a kernel does not start with sanitizers preloaded"),
    pytest.mark.skipif(not notebooks.FOLDER.is_dir(), reason="there is no examples/ here"),
]


def test_choose_and_explain(tmp_path):
    path = notebooks.FOLDER / "choose_and_explain.ipynb"
    ran = notebooks.run_notebook(path, tmp_path)
    shown = notebooks.texts(ran)
    kept = notebooks.texts(notebooks.nbformat.read(path, as_version=4))
    # All but the tables of pandas and the words for a picture, which are theirs.
    ours = [
        (fresh, saved)
        for fresh, saved in zip(shown, kept, strict=True)
        if not any(
            "dataframe" in text or "dtype" in text or "IPython" in text for text in fresh
        )
    ]
    assert len(ours) == 7
    for fresh, saved in ours:
        assert fresh == saved
    everything = "\n".join(text for cell in shown for text in cell)
    assert "purchases judged under 60 settings" in everything
    assert "the flag falls without" in everything
    assert "A flagged purchase" in everything
    assert sum("dataframe" in text for cell in shown for text in cell) == 2
    assert list(tmp_path.iterdir()) == []  # it leaves nothing behind
