"""The site: ``sphinx-build -W --keep-going notebooks build/site``, then open ``build/site/index.html``.

Notebooks are shown as they are kept, with their outputs, and not executed. `pages/generate.py` makes the reference, the
gallery and the pages of worked models, in the folder `generated`, before Sphinx reads anything.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "pages")]

import generate

import hierreg as hr

generate.pages(HERE / "generated")

project = "hierreg"
version = release = hr.__version__
copyright = "the hierreg developers"  # noqa: A001  # its name in Sphinx
extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_design",
]
exclude_patterns = ["pages/*.py", "templates"]
templates_path = ["templates"]

nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autosummary_imported_members = True
autodoc_typehints = "none"  # numpydoc's sections have them
numpydoc_show_class_members = False  # templates/autosummary/class.rst has them
numpydoc_class_members_toctree = False

html_theme = "pydata_sphinx_theme"
html_title = f"hierreg {release}"
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": False,
}
