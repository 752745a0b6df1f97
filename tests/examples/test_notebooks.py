"""The notebooks of examples/ run, and show the outputs that are saved in them."""

import pytest
from cli.commandline import SANITIZED

for name in ("ipykernel", "nbclient", "pandas", "matplotlib"):
    pytest.importorskip(name, reason=f"the notebooks need {name}")

import notebooks  # noqa: E402 - needs the packages above

pytestmark = [
    pytest.mark.skipif(SANITIZED, reason="kernels do not start with a sanitizer preloaded"),
    pytest.mark.skipif(not notebooks.FOLDER.is_dir(), reason="needs examples/"),
]


def test_choose_and_explain(tmp_path):
    path = notebooks.FOLDER / "choose_and_explain.ipynb"
    ran = notebooks.run_notebook(path, tmp_path)
    new = notebooks.texts(ran)
    saved = notebooks.texts(notebooks.nbformat.read(path, as_version=4))
    # The tables of pandas and the description of a picture depend on other libraries.
    own = [
        outputs
        for outputs in zip(new, saved, strict=True)
        if not any(
            "dataframe" in text or "dtype" in text or "IPython" in text for text in outputs[0]
        )
    ]
    assert len(own) == 7
    for new_texts, saved_texts in own:
        assert new_texts == saved_texts
    everything = "\n".join(text for cell in new for text in cell)
    assert "purchases judged under 60 settings" in everything
    assert "clears the flag" in everything
    assert "A flagged purchase" in everything
    assert sum("dataframe" in text for cell in new for text in cell) == 2
    assert list(tmp_path.iterdir()) == []  # it leaves nothing behind
