"""`report.html`: one page that carries everything it shows and loads nothing."""

import shlex
from collections.abc import Sequence
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from recommons.common.audit import words
from recommons.common.audit.curve import curve_svg
from recommons.common.audit.readings import OtherAccountants
from recommons.common.audit.report import AuditReport
from recommons.common.stylesheets import stylesheet
from recommons.common.units import small_text

__all__ = ["render_page"]


def render_page(
    report: AuditReport, command: Sequence[str], others: OtherAccountants | None = None
) -> str:
    """The page as text.

    Args:
        report: What the audit found.
        command: The words of the command that does it again.
        others: What other accountants say, if they were asked.
    """
    folder = files("recommons.common.audit")
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.filters["small"] = small_text
    environment.filters["epsilon"] = words.epsilon_or_none
    template = environment.from_string((folder / "page.html.j2").read_text("utf-8"))
    targets = {run.target for run in report.spending.runs}
    found = [
        (severity, title, [f for f in report.findings if f.severity is severity])
        for severity, title in words.SEVERITY_WORDS.items()
    ]
    return template.render(
        report=report,
        spending=report.spending,
        words=words,
        css=stylesheet("recommons.common.audit", "page.css"),
        curve=Markup(  # noqa: S704 - our own SVG, its text escaped
            curve_svg(report.spending.curve, targets.pop() if len(targets) == 1 else None)
        ),
        found=[group for group in found if group[2]],
        command=shlex.join(command),
        others=others,
    )
