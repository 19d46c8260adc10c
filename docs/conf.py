"""Sphinx configuration: sphinx-build -W docs docs/_build/html, with the package installed."""

from __future__ import annotations

import re
from importlib.metadata import version as installed_version

project = "skdctr"
author = "The skdctr developers"
copyright = "The skdctr developers"
release = installed_version("skdctr")
version = release

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "auto_examples/GALLERY_HEADER.rst"]
templates_path = ["_templates"]
default_role = "code"

autodoc_inherit_docstrings = False
autodoc_typehints = "none"  # the docstrings have types, and shapes beside them
autosummary_generate = True
autosummary_ignore_module_all = False
numpydoc_show_class_members = False  # the templates list them

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"[\\/]plot_",
    "backreferences_dir": "gen_modules/backreferences",
    "doc_module": ("skdctr",),
    "abort_on_example_error": True,
    "show_memory": False,
    "show_signature": False,
}

html_theme = "pydata_sphinx_theme"
html_title = f"skdctr {release}"
html_show_sourcelink = False
html_theme_options = {"show_toc_level": 2}


def skip_metadata_requests(app, what, name, obj, skip, options):
    """Leave out what scikit-learn adds to estimators for metadata routing and for output types."""
    if name in {"get_metadata_routing", "set_output"} or re.fullmatch("set_.+_request", name):
        return True
    return None


def setup(app):
    """Connect the handlers."""
    app.connect("autodoc-skip-member", skip_metadata_requests)
