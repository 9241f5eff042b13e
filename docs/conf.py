"""The documentation site: Markdown pages built by Sphinx, with `make docs`."""

project = "MinerPulse"
author = "the MinerPulse contributors"
extensions = ["myst_parser"]
myst_heading_anchors = 4  # links such as rules.md#examples are checked against the headings
exclude_patterns = ["_build", "schemas"]
nitpicky = True
html_theme = "furo"
html_title = "MinerPulse"
html_show_sphinx = False
html_show_copyright = False
