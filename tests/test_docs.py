"""What the documents name of ours is there: each file, each folder, each module and its names."""

import ast
import re
import runpy
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

REPOSITORY = Path(__file__).parent.parent
PACKAGE = REPOSITORY / "gradcheck"
DOCUMENTS = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md"]
DOCUMENTS += sorted((REPOSITORY / "docs").glob("*.md"))

ROOMS = {path.name.removesuffix(".py") for path in PACKAGE.iterdir()}
OURS = ROOMS | {"gradcheck", "tests", "benchmarks"}
_CODE = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"[\w-]+(/[\w-]+)*(/|/[\w-]+|\.(py|txt|md|toml|yaml))")
_DOTTED = re.compile(r"[a-z_]+(\.[A-Za-z_]\w*)+")


def names_in(text: str) -> list[str]:
    """What a document puts in backquotes that begins like something of ours."""
    spans = _CODE.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    plain = (span.partition("(")[0] for span in spans)
    return [
        name
        for name in plain
        if (re.split(r"[/.]", name)[0] in OURS or re.fullmatch(r"\w+/.*\.py", name))
        and (_PATH.fullmatch(name) or _DOTTED.fullmatch(name))
        and not name.endswith((".html", ".jsonl", ".json"))
    ]


def is_there(name: str) -> bool:
    """Whether a path, from the repository's root or the package's, or a dotted name is there."""
    if _PATH.fullmatch(name):
        return (REPOSITORY / name).exists() or (PACKAGE / name).exists()
    parts = name.removeprefix("gradcheck.").split(".")
    module = PACKAGE.joinpath(*parts)
    if module.is_dir() or module.with_suffix(".py").exists():
        return True
    home = PACKAGE.joinpath(*parts[:-1])
    home = home / "__init__.py" if home.is_dir() else home.with_suffix(".py")
    return home.exists() and parts[-1] in _bound_in(home)


def _bound_in(module: Path) -> set[str]:
    """The names that a module binds by itself or imports, and the texts that it lists."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        match node:
            case ast.FunctionDef(name) | ast.ClassDef(name) | ast.Name(name) | ast.alias(name):
                found.add(name)
            case ast.Constant(str() as text):
                found.add(text)
    return found


NAMED = [(path.name, name) for path in DOCUMENTS for name in names_in(path.read_text("utf-8"))]


@pytest.mark.parametrize(("document", "name"), sorted(set(NAMED)))
def test_what_a_document_names_is_there(document, name):
    assert is_there(name), f"{document} names {name}"


GONE = [
    "gradcheck/formula/truth.py",
    "verdict/",
    "tests/inputs/",
    "graph.unroll",
    "gradcheck.verified",
    "spelling.closest",
]


@pytest.mark.parametrize("name", GONE)
def test_what_is_gone_is_missed(name):
    assert not is_there(name)


HERE = ["gradcheck/ops/table.py", "ops/", "tests/judge", "graph.lower", "gradcheck.verify"]
HERE += ["spelling.nearest", "gradcheck.strategies.points"]


@pytest.mark.parametrize("name", HERE)
def test_what_is_here_is_found(name):
    assert is_there(name)
    assert names_in(f"See `{name}`.") == [name]


def _said_by_code():
    texts = [path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py"))]
    return " ".join(" ".join(texts).split())


TRIAGE = (REPOSITORY / "docs" / "triage.md").read_text("utf-8").partition("## 2.")[0]
PHRASES = re.findall(r"^\| `(.*?)(?: \.\.\.)?` \|", TRIAGE, re.MULTILINE)


def test_what_the_guide_to_triage_quotes_is_what_a_block_says():
    assert len(PHRASES) > 5
    code = _said_by_code()
    assert [phrase for phrase in PHRASES if phrase not in code] == []


# what keyboards and screen readers need, in the pages of the site

MADE = runpy.run_path(str(REPOSITORY / "docs" / "conf.py"))


def test_a_page_of_the_site_is_made_accessible_once_and_whole(tmp_path):
    (tmp_path / "page.html").write_text("".join(MADE["_ACCESSIBLE"]), "utf-8")
    app = SimpleNamespace(outdir=tmp_path)
    MADE["_made_accessible"](app, None)
    once = (tmp_path / "page.html").read_text("utf-8")
    assert once == "".join(MADE["_ACCESSIBLE"].values())
    MADE["_made_accessible"](app, None)
    assert (tmp_path / "page.html").read_text("utf-8") == once


def test_a_site_that_could_not_be_built_is_left_alone(tmp_path):
    (tmp_path / "page.html").write_text("<pre>", "utf-8")
    MADE["_made_accessible"](SimpleNamespace(outdir=tmp_path), ValueError())
    assert (tmp_path / "page.html").read_text("utf-8") == "<pre>"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_column_of_a_table_has_a_head(document):
    lines = document.read_text("utf-8").splitlines()
    heads = [above for above, rule in pairwise(lines) if re.fullmatch(r"\|( *:?-+:? *\|)+", rule)]
    assert [head for head in heads if re.search(r"\| *\|", head)] == []
