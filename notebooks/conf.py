"""The site: ``sphinx-build -W --keep-going notebooks build/site``, then open ``build/site/index.html``.

Notebooks are shown as they are kept, with their outputs, and not executed. `pages/generate.py` makes the reference, the
gallery and the pages of worked models, in the folder `generated`, before Sphinx reads anything.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "pages")]

import generate

import hierreg as hr

if TYPE_CHECKING:
    from docutils.nodes import Node
    from sphinx.application import Sphinx

generate.pages(HERE / "generated")

project = "hierreg"
version = release = hr.__version__
copyright = "the hierreg developers"  # noqa: A001  # its name in Sphinx
extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_design",
]
exclude_patterns = ["pages/*.py", "templates"]
templates_path = ["templates"]

nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

highlight_language = "none"  # indented blocks of docstrings are formulas
default_role = "py:obj"  # what stands in single backticks, and a link where it is a public name

autosummary_generate = True
autosummary_imported_members = True
autodoc_typehints = "none"  # numpydoc's sections have them
numpydoc_show_class_members = False  # templates/autosummary/class.rst has them
numpydoc_class_members_toctree = False

html_theme = "pydata_sphinx_theme"
html_title = f"hierreg {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
# Pages of one level have nothing to show at their side.
html_sidebars = {"index": [], "engines": [], "pages/*": []}
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": False,
    "header_links_before_dropdown": 5,
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": False,
}


def setup(app: Sphinx) -> None:
    """Tell Sphinx how docstrings abbreviate the package."""
    app.connect("missing-reference", as_hierreg)


def as_hierreg(app: Sphinx, env: Any, node: Any, content: Node) -> Node | None:
    """Return a link to ``hierreg.summary`` for ``hr.summary``, or None where it is no public name."""
    target = node.get("reftarget", "")
    if not target.startswith("hr."):
        return None
    name = target.replace("hr.", "hierreg.", 1)
    python = env.get_domain("py")
    return python.resolve_xref(env, node["refdoc"], app.builder, node["reftype"], name, node, content)
