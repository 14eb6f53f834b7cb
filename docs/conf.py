"""How the site is built: `tox -e docs`, or what it says there.

The repository's root is the source, so that a link between documents is the same path on a code
host and on the site.
"""

from importlib.metadata import version as installed
from pathlib import Path

project = "gradcheck"
author = "The gradcheck authors"
version = release = installed("gradcheck")
root_doc = "docs/index"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
include_patterns = ["docs/**.md", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"]
default_role = "code"
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", ".*")
]  # types of PyTorch, NumPy and Hypothesis have no pages here
myst_heading_anchors = 4
myst_links_external_new_tab = False
autodoc_typehints = "description"

html_theme = "furo"
html_title = f"gradcheck {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
templates_path = ["_templates"]
html_additional_pages = {"index": "to_docs.html"}  # the root leads to the first page


def _as_paragraphs(_app, _what, _name, _object, _options, lines):  # as Sphinx calls it
    """Make paragraphs of a docstring's `Shapes:`, `Units:` and `Errors:`, whose lines hang."""
    for number, line in reversed(list(enumerate(lines))):
        word = line.split(":")[0]
        if word in ("Shapes", "Units", "Errors"):
            lines[number:] = [
                *("", f"**{word}**:{line.removeprefix(word + ':')}"),
                *(each.strip() for each in lines[number + 1 :]),
            ]


_ACCESSIBLE = {
    '<p class="caption" role="heading">': '<p class="caption" role="heading" aria-level="2">',
    "<pre>": '<pre tabindex="0">',
    '<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="All pages">',
    '<aside class="toc-drawer': '<aside aria-label="On this page" class="toc-drawer',
    '<div class="table-wrapper': '<div tabindex="0" class="table-wrapper',
}


def _made_accessible(app, error):
    """Give keyboards and screen readers what sphinx and furo leave out, in every page."""
    for path in Path(app.outdir).rglob("*.html") if error is None else ():
        text = path.read_text("utf-8")
        for left_out, given in _ACCESSIBLE.items():
            text = text.replace(left_out, given)
        path.write_text(text, "utf-8")


def setup(app):
    app.connect("autodoc-process-docstring", _as_paragraphs)
    app.connect("build-finished", _made_accessible)
