"""Build the documentation site into build/site, without warnings or network access.

README.md is the first page; CHANGELOG.md, CONTRIBUTING.md and SECURITY.md are pages too. They
stay where readers of the repository look for them, so pages are copied together first, into
build/site-source, with their links adapted. Usage: build_site.py [zensical's options].
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "build" / "site-source"
PAGES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
ASSETS = ["LICENSE", "examples"]


def adapted(text: str) -> str:
    """Return a page of the repository with links for the site, where docs/ is the top.

    A note for those who read the page in the repository is removed.
    """
    text = re.sub(
        r"^> Lines that begin with `:::`.*\n(?:>.*\n)*\n", "", text, flags=re.MULTILINE
    )
    text = re.sub(r"\]\((?:\.\./)?docs/", "](", text)
    text = re.sub(r"\]\((?:\.\./)?README\.md", "](index.md", text)
    return re.sub(r"\]\(\.\./", "](", text)


def gather() -> None:
    """Copy the pages and what they link to together."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(ROOT / "docs", SOURCE)
    for name in PAGES:
        shutil.copy(ROOT / name, SOURCE / ("index.md" if name == "README.md" else name))
    for page in SOURCE.glob("*.md"):
        page.write_text(adapted(page.read_text(encoding="utf-8")), encoding="utf-8")
    for name in ASSETS:
        path = ROOT / name
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, SOURCE / name)


def problems() -> list[str]:
    """Return what Zensical does not check: images that exist, pages without a link to them."""
    found = []
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in sorted(SOURCE.glob("*.md")):
        if f": {page.name}\n" not in navigation:
            found.append(f"{page.name}: not in the navigation of mkdocs.yml")
        images = re.findall(r"!\[[^]]*\]\(([^)\s]+)", page.read_text(encoding="utf-8"))
        missing = [target for target in images if not (SOURCE / target).is_file()]
        found += [f"{page.name}: no image {target}" for target in missing]
    return found


def main() -> int:
    """Gather the pages and build the site; return the exit status."""
    gather()
    if found := problems():
        print("\n".join(found), file=sys.stderr)
        return 1
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    return subprocess.run([*command, *sys.argv[1:]], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
