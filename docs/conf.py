"""Sphinx settings."""

project = "Recommons"
author = "The Recommons authors"
extensions = ["myst_parser"]
myst_enable_extensions = ["dollarmath", "amsmath", "deflist", "fieldlist", "colon_fence"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "Recommons"
exclude_patterns = ["_build"]
