"""House rules on the size of functions, classes and folders.

A function has at most 60 lines, a class 300, and a folder 12 modules. Only lines of code
count, not docstrings, comments and blank lines; modules whose names begin with "_" do not
count. A function or class that is better left whole says so in its docstring, on a line that
starts with "Long because".
"""

import ast
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from checkout import SOURCES

FUNCTION_LINES, CLASS_LINES, FOLDER_MODULES = 60, 300, 12
CROWDED = {"engine"}  # one folder of small kernels, compiled into one module
EXCUSE = re.compile(r"^\s*Long because \S", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A function or a class."""

    kind: str  # "function" or "class"
    name: str
    line: int
    size: int  # lines of code
    docstring: str


def is_code(line):
    """Return whether a line is neither blank nor a comment."""
    return not re.match(r"\s*(#|$)", line)


def measured(lines, found):
    """Return blocks from (kind, name, first, last, docstring's (first, last) or None).

    Lines count from 0. Docstrings of inner functions do not count either.
    """
    spans = [string for *_, string in found if string]
    docstrings = {line for first, last in spans for line in range(first, last + 1)}
    code = {n for n, line in enumerate(lines) if is_code(line)} - docstrings
    return [
        Block(
            kind,
            name,
            first + 1,
            sum(line in code for line in range(first, last + 1)),
            "\n".join(lines[string[0] : string[1] + 1]) if string else "",
        )
        for kind, name, first, last, string in found
    ]


def python_blocks(text):
    """Return the blocks of a Python module, by its syntax tree."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            head = node.body[0]
            string = (
                (head.lineno - 1, head.end_lineno - 1) if ast.get_docstring(node) else None
            )
            found.append((kind, node.name, node.lineno - 1, node.end_lineno - 1, string))
    return measured(text.splitlines(), sorted(found, key=lambda block: block[2]))


TOKEN = re.compile(
    r"""(?P<long>(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}))"""
    r"""|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|(?P<comment>\#[^\n]*)"""
    r"""|(?P<open>[\[({])|(?P<close>[\])}])|(?P<end>(?<!\\)\n)""",
    re.DOTALL | re.VERBOSE,
)
CLASS = re.compile(r"(?:cdef |cpdef )?class (\w+)")
FUNCTION = re.compile(
    r"(?:async def|def|cpdef|cdef)\b(?! (?:extern|struct|enum|union|packed))"
)
FUNCTION_NAME = re.compile(r"(\w+)\s*\(")


def statements(text):
    """Return (first line, last line) of each logical line of Python or Cython, from 0.

    Strings, comments and brackets are all that has to be understood for that.
    """
    text += "\n"
    found, depth, start = [], 0, 0
    for token in TOKEN.finditer(text):
        if token["open"]:
            depth += 1
        elif token["close"]:
            depth -= 1
        elif token["end"] and depth == 0:
            end = text.count("\n", 0, token.start())
            found.append((start, end))
            start = end + 1
    return found


def indented_blocks(text):
    """Return the blocks of a Python or Cython module, by its indentation."""
    lines = text.splitlines()
    logical = [
        (start, end, len(lines[start]) - len(lines[start].lstrip()))
        for start, end in statements(text)
        if end < len(lines) and any(map(is_code, lines[start : end + 1]))
    ]
    found = []
    for index, (start, end, depth) in enumerate(logical):
        head = " ".join(line.split("#")[0].strip() for line in lines[start : end + 1]).strip()
        is_class = CLASS.match(head)
        name = is_class or (FUNCTION.match(head) and FUNCTION_NAME.search(head))
        if not name or not (head.endswith(":") or head.startswith(("def", "class"))):
            continue  # a C declaration
        body = []
        for inner in logical[index + 1 :]:
            if inner[2] <= depth:
                break
            body.append(inner)
        last = body[-1][1] if body else end
        string = None
        if body and lines[body[0][0]].lstrip().startswith(("'", '"')):
            string = body[0][:2]
        found.append(("class" if is_class else "function", name[1], start, last, string))
    return measured(lines, found)


def blocks_of(path):
    """Return the blocks of a source file."""
    blocks = python_blocks if path.suffix == ".py" else indented_blocks
    return blocks(path.read_text(encoding="utf-8"))


def too_long(blocks):
    """Return what breaks the rules among some blocks, as messages."""
    limits = {"function": FUNCTION_LINES, "class": CLASS_LINES}
    return [
        f"line {block.line}: {block.kind} {block.name} has {block.size} lines of code, "
        f"the limit is {limits[block.kind]}"
        for block in blocks
        if block.size > limits[block.kind] and not EXCUSE.search(block.docstring)
    ]


def crowded(paths):
    """Return the folders with too many modules, names with a leading _ not counted."""
    modules = Counter(path.parent for path in paths if not path.stem.startswith("_"))
    return [
        f"{folder.name}: {count} modules, the limit is {FOLDER_MODULES}"
        for folder, count in sorted(modules.items())
        if count > FOLDER_MODULES and folder.name not in CROWDED
    ]


FILES = sorted(path for kind in ("*.py", "*.pyx", "*.pxd") for path in SOURCES.rglob(kind))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCES)))
def test_functions_and_classes_are_short(path):
    assert "\n".join(too_long(blocks_of(path))) == ""


def test_folders_are_small():
    assert len(FILES) > 30
    assert crowded(FILES) == []


# The rules themselves, on made-up sources.

BODY = "".join(f"    x = {number}  # counted\n" for number in range(60))
DOCSTRING = '    """Summary.\n\n    {}\n    """\n'
HEADS = ["def f(a):\n", "def f(\n    a=')',\n):\n", "async def f(a):\n"]
CYTHON_HEADS = [
    "cdef inline int f(int a) except -1 nogil:\n",
    "cpdef object f(\n    int a,  # (\n):\n",
    *HEADS,
]
READERS = [python_blocks, indented_blocks]


@pytest.mark.parametrize(
    ("read", "head"),
    [(python_blocks, head) for head in HEADS] + [(indented_blocks, h) for h in CYTHON_HEADS],
    ids=lambda value: value.__name__ if callable(value) else value.split("(")[0],
)
def test_a_long_function_is_found(read, head):
    room = 60 - head.count("\n")
    body = "".join(BODY.splitlines(keepends=True)[:room])
    ignored = DOCSTRING.format("Any text.") + "    # a comment\n\n\n"
    assert too_long(read(head + ignored + body)) == []
    found = too_long(read("y = 1\n" + head + ignored + body + "    y = 1\nz = 1\n"))
    assert found == ["line 2: function f has 61 lines of code, the limit is 60"]


@pytest.mark.parametrize("read", READERS)
def test_a_long_function_can_be_excused(read):
    excuse = DOCSTRING.format("Long because the steps share one transaction.")
    assert too_long(read(HEADS[0] + excuse + BODY)) == []
    for other in ("It is long because of that.", "Long because"):
        assert len(too_long(read(HEADS[0] + DOCSTRING.format(other) + BODY))) == 1
    assert len(too_long(read(HEADS[0] + BODY + excuse))) == 1  # not its docstring


@pytest.mark.parametrize("read", READERS)
def test_a_long_class_is_found(read):
    method = '    def {}(self):\n        """Summary."""\n' + "".join(
        f"        x = {n}\n" for n in range(49)
    )
    text = "class C:\n" + "".join(method.format(f"m{n}") for n in range(6))
    assert too_long(read(text)) == ["line 1: class C has 301 lines of code, the limit is 300"]
    assert too_long(read(text.rstrip("\n").rpartition("\n")[0])) == []


@pytest.mark.parametrize("path", [p for p in FILES if p.suffix == ".py"], ids=lambda p: p.name)
def test_the_two_readers_agree(path):
    text = path.read_text(encoding="utf-8")
    sizes = [
        {(block.kind, block.name, block.line, block.size) for block in read(text)}
        for read in READERS
    ]
    assert {block for block in sizes[0] - sizes[1] if block[3] > 1} == set()
    assert sizes[1] - sizes[0] == set()


def test_a_crowded_folder_is_found():
    names = [f"m{number}.py" for number in range(13)]
    assert crowded(Path("a", name) for name in [*names[:12], "__init__.py", "_m.py"]) == []
    assert crowded(Path("a", name) for name in names) == ["a: 13 modules, the limit is 12"]
    assert crowded(Path("engine", name) for name in names) == []
