"""`recommons site check`."""

import json
import time
from pathlib import Path

import typer

from recommons.client.membership.checks import check_site
from recommons.client.membership.findings import failed, lines_of

__all__ = ["check_joined"]


def check_joined(folder: Path, *, as_json: bool) -> int:
    """Print every finding; 1 where one of them keeps the site from taking part.

    Raises:
        InvalidInput: The folder is not that of a joined site.
    """
    findings = check_site(folder, time.time)
    if as_json:
        rows = [finding.fields() for finding in findings]
        typer.echo(json.dumps({"findings": rows}, ensure_ascii=False))
    else:
        typer.echo("\n".join(lines_of(findings)))
    return 1 if failed(findings) else 0
