"""The picture of an explanation: labels do not overlap; matplotlib's settings stay."""

import itertools
import random

import pytest

from fastanomaly import Detector
from fastanomaly.errors import OutputError

matplotlib = pytest.importorskip("matplotlib", reason="pictures need the extra picture")

from fastanomaly.explanations.picture import draw_figure  # noqa: E402


def explained(seed, users=60, degree=3, tracked=None):
    """Explain a purchase in a random network, with ids of several lengths."""
    rng = random.Random(seed)
    names = [f"{rng.choice(['', 'user ', 'someone called '])}{n}" for n in range(users)]
    detector = Detector(degree, tracked or rng.choice([10, 25, 50]))
    for index, name in enumerate(names[1:], 1):
        detector.befriend(name, names[rng.randrange(max(1, index // 2))])
    for time in range(200):
        detector.record(rng.choice(names[1:]), round(rng.uniform(1, 90), 2), time)
    return detector.explain(names[0], 5000)


def extents(figure):
    """Return the rectangles of all texts that are drawn when a figure is rendered."""
    drawn = []
    usual = matplotlib.text.Text.draw

    def draw(text, *given, **named):
        drawn.append(text)
        usual(text, *given, **named)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(matplotlib.text.Text, "draw", draw)
        figure.draw_without_rendering()
    shown = [text for text in dict.fromkeys(drawn) if text.get_visible() and text.get_text()]
    return [(text.get_text(), text.get_window_extent()) for text in shown]


def cut_off(figure, found):
    """Return the texts that are partly outside of the figure."""
    low, high = figure.bbox.min, figure.bbox.max
    return [text for text, box in found if (box.min < low).any() or (box.max > high).any()]


@pytest.mark.parametrize("degree", [1, 3, 6])
@pytest.mark.parametrize("seed", range(6))
def test_labels_do_not_overlap(seed, degree):
    why = explained(seed, degree=degree)
    figure = draw_figure(why)
    found = extents(figure)
    for (one, here), (other, there) in itertools.combinations(found, 2):
        inner = matplotlib.transforms.Bbox.intersection(here, there)
        assert inner is None or inner.width < 1 or inner.height < 1, (one, other)
    texts = [text for text, _ in found]
    for ring in range(1, len(why.network) + 1):
        assert any(text.startswith(f"degree {ring}: ") for text in texts)
    users = {user for purchase in why.baseline for user in purchase.path}
    if len(users) < 40:
        assert users <= set(texts)
    assert cut_off(figure, found) == []


@pytest.mark.parametrize("seed", range(3))
def test_rings_have_labels_between_many_users(seed):
    why = explained(seed, users=600, degree=4, tracked=150)
    found = extents(draw_figure(why))
    texts = [text for text, _ in found]
    for ring in range(1, len(why.network) + 1):
        assert any(text.startswith(f"degree {ring}: ") for text in texts)


def test_legends_do_not_cover_the_plots():
    figure = draw_figure(explained(1))
    figure.draw_without_rendering()
    for axes in figure.axes:
        legend = axes.get_legend().get_window_extent()
        assert not legend.padded(-1).overlaps(axes.get_window_extent())


def test_a_long_id_does_not_leave_the_picture():
    detector = Detector(1, 5)
    detector.befriend("w" * 3000, "$x$ " * 300)
    for time in range(4):
        detector.record("$x$ " * 300, 10 + time, time)
    figure = draw_figure(detector.explain("w" * 3000, 900))
    assert cut_off(figure, extents(figure)) == []


@pytest.mark.parametrize(
    "setting",
    [
        {"text.usetex": True},
        {"font.size": 60, "axes.facecolor": "black", "savefig.dpi": 7},
        {"savefig.bbox": "tight", "savefig.transparent": True, "lines.linewidth": 40},
        {"axes.prop_cycle": matplotlib.cycler(marker=["x"]), "figure.facecolor": "red"},
    ],
)
def test_settings_have_no_effect_and_stay(tmp_path, setting):
    """Settings of the user's notebook: style, rcParams."""
    why = explained(2)
    why.draw(tmp_path / "usual.png")
    with matplotlib.rc_context(setting):
        before = dict(matplotlib.rcParams)
        why.draw(tmp_path / "set.png")
        assert dict(matplotlib.rcParams) == before
    assert (tmp_path / "set.png").read_bytes() == (tmp_path / "usual.png").read_bytes()


def test_a_failure_leaves_the_file(tmp_path, monkeypatch):
    """The file is replaced by a whole picture, or stays."""
    path = tmp_path / "why.png"
    path.write_text("before")
    path.chmod(0o640)

    def fail(self, target, **options):
        with open(target, "wb") if isinstance(target, str) else target as file:
            file.write(b"a part")
        raise OSError(28, "No space left on device")

    why = explained(3)
    with monkeypatch.context() as patched:
        patched.setattr("matplotlib.figure.Figure.savefig", fail)
        with pytest.raises(OutputError, match=r"why\.png: No space left on device"):
            why.draw(path)
    assert path.read_text() == "before"
    why.draw(path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["why.png"]


def test_a_folder_is_refused(tmp_path):
    (tmp_path / "why.png").mkdir()
    with pytest.raises(OutputError, match=r"^\S*why\.png: Is a directory$"):
        explained(3).draw(tmp_path / "why.png")


def test_a_symbolic_link_stays(tmp_path):
    (tmp_path / "link.svg").symlink_to("target.svg")
    explained(3).draw(tmp_path / "link.svg")
    assert (tmp_path / "link.svg").is_symlink()
    assert (tmp_path / "target.svg").read_bytes().startswith(b"<?xml")
    with pytest.raises(OutputError, match="absent"):
        explained(3).draw(tmp_path / "absent" / "why.svg")
