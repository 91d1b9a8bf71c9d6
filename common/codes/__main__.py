"""`docs/codes.md`, rebuilt with ``python -m recommons.common.codes > docs/codes.md``."""

from collections.abc import Iterator

from recommons.common.codes import CODES, ROOMS

__all__ = ["page"]


def page() -> Iterator[str]:
    """The lines of the page."""
    yield "# Runbook: every named code"
    yield ""
    yield "Every failure has a code. Codes are stable: scripts and auditors match on them. A"
    yield "command prints code, message and remedy, a console shows them, a ledger keeps the code."
    yield "What to do when a process, a disk or a host fails is in"
    yield "[the operator's guide](operator-guide.md) and in [the site's](site-guide.md)."
    for room, who in sorted(ROOMS.items()):
        yield f"\n## {room}\n\n{who}\n"
        yield "| code | meaning | what to do |"
        yield "|---|---|---|"
        for code, (meaning, remedy) in sorted(CODES.items()):
            if code.partition("/")[0] == room:
                yield f"| `{code}` | {meaning} | {remedy} |"


if __name__ == "__main__":
    print("\n".join(page()))  # noqa: T201 - the page is what this prints
