"""`recommons audit PATH…`: files in, a verdict and an exit status out."""

import gc
import json
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import typer

from recommons.common.audit.audit import audit
from recommons.common.audit.files import read_sources, read_trust
from recommons.common.audit.findings import Findings, verdict_of
from recommons.common.audit.readings import OtherAccountants, other_accountants
from recommons.common.audit.report import AuditReport
from recommons.common.audit.signatures import Mapper
from recommons.common.audit.words import epsilon_or_none, summary_lines
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
        cross_check: Ask other accountants, too, one of whom may contradict the audit's ε; None: for
            a page.

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
    others = None
    if wanted:
        others = other_accountants(report.spending)
        report = _contradicted(report, others, findings)
    if html is not None:
        from recommons.common.audit.page import render_page

        command = _again(paths, trust, each_line, cross_check=wanted)
        html.write_text(render_page(report, command, others), encoding="utf-8")
    if as_json:
        sys.stdout.write(json.dumps(report.to_json(others), indent=2, ensure_ascii=False) + "\n")
    else:
        for line, style in summary_lines(report, others):
            typer.secho(line, **style)
    return report.verdict.exit_status


def _contradicted(report: AuditReport, others: OtherAccountants, findings: Findings) -> AuditReport:
    """The report; it passes no more where another accountant contradicts its ε."""
    if not others.disagreements:
        return report
    findings.add(
        "audit/accountants-disagree",
        f"ε = {epsilon_or_none(report.spending.epsilon)} cannot be true beside what other "
        f"accountants say of the same releases: {', '.join(others.disagreements)}",
    )
    listed = findings.sorted()
    return replace(report, findings=listed, verdict=verdict_of(listed))


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


def _again(
    paths: Sequence[Path], trust: Path | None, each_line: bool | None, *, cross_check: bool
) -> list[str]:
    words = ["recommons", "audit", *(str(path) for path in paths)]
    if trust is not None:
        words += ["--trust", str(trust)]
    if each_line is not None:
        words.append("--every-signature" if each_line else "--last-signatures")
    if cross_check:
        words.append("--cross-check")  # the verdict may rest on it
    return words
