"""docs/secure-aggregation.md against the code: its examples run, its names are the code's."""

import doctest
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from recommons.common.secagg.parameters import least_survivors, quorum
from tests.vectors.reading import of, transcripts

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "secure-aggregation.md").read_text()
SOURCE = "\n".join(path.read_text() for path in (ROOT / "common" / "secagg").glob("*.py"))


def test_the_examples_give_what_is_printed() -> None:
    blocks = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "specification", None, 0)
    assert len(test.examples) >= 8
    out: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(test, out=out.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(out)


def test_the_written_cost_is_that_of_the_messages() -> None:
    block = re.search(r">>> def overhead.*?return sum.*?\n", TEXT, flags=re.DOTALL)
    assert block is not None
    names: dict[str, Any] = {}
    exec(re.sub(r"^(>>>|\.\.\.) ", "", block.group(), flags=re.MULTILINE), names)  # noqa: S102
    for t in transcripts().values():
        if t.lost or t.result is None:
            continue
        sent = sum(len(of(data)) for data in t.uploads["site-0"].values())
        received = sum(len(of(data)) for data in t.broadcasts.values()) + len(
            of(t.inboxes["site-0"])
        )
        vector = t.shape.size * t.shape.bits // 8
        opaque = len(of(t.spec)) + len(of(t.public_state))
        assert names["overhead"](t.parameters.sites) == (sent - vector, received - opaque)


def isolated(sites: int, colluding: int, shown: int, signed: int) -> bool:
    """Whether some survivor can be left without a secret mask shared with an honest signer.

    It was shown `shown` dealers, and `signed` sites, not itself, signed the survivors: every such
    choice is tried. Lemma 3 of the specification says that none isolates it.
    """
    others = range(1, sites)  # the survivor is site 0
    corrupt = set(range(sites - colluding, sites))
    return any(
        not set(dealers) & set(signers) - corrupt
        for dealers in combinations(others, shown - 1)
        for signers in combinations(others, signed)
    )


@pytest.mark.parametrize("sites", range(3, 9))
def test_no_choice_of_dealers_and_signers_isolates_a_survivor(sites: int) -> None:
    for colluding in range(sites - 1):
        least, needed = least_survivors(sites, colluding), quorum(sites, colluding)
        assert not isolated(sites, colluding, least, needed)


def test_with_a_smaller_quorum_a_survivor_can_be_isolated() -> None:
    assert isolated(5, 1, shown=quorum(5, 1) - 1, signed=quorum(5, 1) - 1)
    assert isolated(8, 2, shown=quorum(8, 2) - 1, signed=quorum(8, 2) - 1)


def test_every_domain_of_the_code_is_written_down() -> None:
    domains = set(re.findall(r'"(recommons/[a-z0-9/-]+)"', SOURCE))
    domains |= {
        f"recommons/secagg/1/{purpose}"
        for purpose in re.findall(r'(?:expand|shares)\([^()]*"([a-z-]+)"', SOURCE)
    }
    assert len(domains) >= 28
    for domain in domains:
        short = domain.removeprefix("recommons/secagg/1/")
        assert re.search(rf"(\*|textit{{|`){re.escape(short)}(\*|}}|`)", TEXT) or domain in TEXT, (
            short
        )


def test_every_code_a_message_can_be_refused_with_is_written_down() -> None:
    raised = set(re.findall(r'"(secagg/[a-z-]+)"', SOURCE))
    raised |= {f"secagg/inbox-{what}" for what in ("signature", "ciphertext", "commitment")}
    of_callers = {
        "cohort-size",
        "colluding",
        "context",
        "not-in-cohort",
        "roster",
        "signing-key",
        "state",
        "vector",
    }
    written = set(re.findall(r"(?<![\w/])secagg/[a-z-]+", TEXT))
    assert raised - {f"secagg/{name}" for name in of_callers} <= written
    assert {code for code in written if not code.startswith("secagg/1")} <= raised
