"""`recommons audit PATH…`: files in, a verdict and an exit status out."""

import gc
import json
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import typer

from recommons.common.audit.audit import audit
from recommons.common.audit.files import read_sources, read_trust
from recommons.common.audit.findings import Findings
from recommons.common.audit.readings import other_accountants
from recommons.common.audit.signatures import Mapper
from recommons.common.audit.words import summary_lines
from recommons.common.errors import InvalidInput

__all__ = ["run_audit"]

_WORTH_PROCESSES = 4 << 20
"""Bytes of ledgers from which starting processes pays."""

_MOST_PROCESSES = 8


def run_audit(
    paths: Sequence[Path],
    *,
    trust: Path | None,
    html: Path | None,
    as_json: bool,
    each_line: bool | None,
    cross_check: bool | None = None,
) -> int:
    """Run the command.

    Args:
        paths: Files and folders.
        trust: The pinned document, or None.
        html: Where the page goes, or None.
        as_json: Print the report instead of the summary.
        each_line: As `audit` takes it.
        cross_check: Ask other accountants, too; None: for a page.

    Returns:
        The exit status.

    Raises:
        InvalidInput: A path is not there, or the pinned document cannot be read.
    """
    absent = [str(path) for path in paths if not os.path.lexists(path)]
    if absent:
        raise InvalidInput("audit/path", f"not found: {', '.join(absent)}")
    pinned = None if trust is None else read_trust(trust)
    findings = Findings()
    sources = list(read_sources(paths, findings))
    with _uncollected(), _processes(sum(len(source.data) for source in sources)) as mapper:
        report = audit(sources, trust=pinned, findings=findings, mapper=mapper, each_line=each_line)
    wanted = html is not None if cross_check is None else cross_check
    others = other_accountants(report.spending) if wanted else None
    if html is not None:
        from recommons.common.audit.page import render_page

        command = _again(paths, trust, each_line)
        html.write_text(render_page(report, command, others), encoding="utf-8")
    if as_json:
        sys.stdout.write(json.dumps(report.to_json(others), indent=2, ensure_ascii=False) + "\n")
    else:
        for line, style in summary_lines(report, others):
            typer.secho(line, **style)
    return report.verdict.exit_status


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the collector of cycles: it would look through millions of objects that form none."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def _processes(size: int) -> Iterator[Mapper]:
    """A pool's `map` where there is much to check, else the plain one."""
    if size < _WORTH_PROCESSES:
        yield map
        return
    context = multiprocessing.get_context("spawn")
    workers = min(os.cpu_count() or 1, _MOST_PROCESSES)
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield pool.map


def _again(paths: Sequence[Path], trust: Path | None, each_line: bool | None) -> list[str]:
    words = ["recommons", "audit", *(str(path) for path in paths)]
    if trust is not None:
        words += ["--trust", str(trust)]
    if each_line is not None:
        words.append("--every-signature" if each_line else "--last-signatures")
    return words
