import re

import pytest

from recommons.common.stylesheets import stylesheet
from recommons.simulations.report.styles import page_style, picture_style

SHEETS = {
    "audit": stylesheet("recommons.common.audit", "page.css"),
    "console": stylesheet("recommons.common.console", "static/console.css"),
    "report": page_style(),
    "picture": picture_style(),
}


@pytest.mark.parametrize("name", SHEETS)
def test_every_colour_that_a_page_uses_is_given_and_every_rule_is_closed(name: str) -> None:
    sheet = SHEETS[name]
    # A name with a fallback, `var(--of, …)`, may be left open.
    used = set(re.findall(r"var\((--[a-z]+)\)", sheet))
    assert used <= set(re.findall(r"(--[a-z]+):", sheet))
    assert sheet.count("{") == sheet.count("}")


@pytest.mark.parametrize("name", SHEETS)
def test_what_is_given_for_light_is_given_for_dark(name: str) -> None:
    sheet = SHEETS[name]
    dark = "".join(re.findall(r"prefers-color-scheme: dark\)[^{]*\{(.*?\})\s*\}", sheet, re.DOTALL))
    shades = set(re.findall(r"(--[a-z]+): #", sheet))
    assert shades == set(re.findall(r"(--[a-z]+): #", dark))
