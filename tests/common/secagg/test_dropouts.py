"""The secure sum against the plain one, for every way in which sites can drop out."""

import copy
from collections import Counter
from dataclasses import fields, replace
from itertools import combinations
from typing import TYPE_CHECKING

import pytest

from recommons.common.errors import ProtocolAbort
from recommons.common.secagg.coordinator import CoordinatorRound
from recommons.common.secagg.site import SiteRound

if TYPE_CHECKING:
    from tests.common.secagg.conftest import Federation, Play

STEPS = 5
CODES = (
    "secagg/too-few-sites",
    "secagg/too-few-sites",
    "secagg/too-few-sites",
    "secagg/quorum",
    "secagg/too-few-shares",
)


def cloned(coordinator: CoordinatorRound) -> CoordinatorRound:
    """A copy that collects on its own; the messages, which nobody changes, are shared."""
    clone = copy.copy(coordinator)
    collected = coordinator._collected
    copies = {f.name: copy.copy(getattr(collected, f.name)) for f in fields(collected)}
    clone._collected = replace(collected, **copies)
    return clone


class Explorer:
    """Walks the tree of dropouts: at each step every subset of the sites still there answers.

    A branch ends where the attempt aborts: what would have dropped later makes no difference, and
    the branch stands for all those patterns. `patterns` counts them, so the sum tells that none
    was left out.
    """

    def __init__(self, fed: "Federation", play: "type[Play]", *, fewest: int) -> None:
        self.fed = fed
        self.play = play
        # A step is closed by counting, so one answer too few is the sharpest case; in the larger
        # cohorts, subsets smaller still are counted without being played.
        self.fewest = fewest
        self.patterns: Counter[str] = Counter()
        least, quorum = fed.parameters.survivors, fed.parameters.quorum
        self.needed = (least, least, least, quorum, quorum)

    def explore(self) -> Counter[str]:
        sites, replies = {}, {}
        for name in self.fed.names:
            sites[name], replies[name] = self.fed.begin(name)
        self.visit(0, self.fed.coordinator(), sites, replies, ())
        return self.patterns

    def visit(
        self,
        step: int,
        coordinator: CoordinatorRound,
        sites: dict[str, SiteRound],
        replies: dict[str, bytes],
        survivors: tuple[str, ...],
    ) -> None:
        for size in range(len(replies) + 1):
            for answering in combinations(replies, size):
                if size < self.needed[step]:
                    self.too_few(step, coordinator, replies, answering)
                else:
                    there = answering if step == 2 else survivors
                    self.enough(step, coordinator, sites, replies, answering, there)

    def too_few(
        self,
        step: int,
        coordinator: CoordinatorRound,
        replies: dict[str, bytes],
        answering: tuple[str, ...],
    ) -> None:
        self.patterns[CODES[step]] += (STEPS - step) ** len(answering)
        if len(answering) < self.fewest:
            return
        branch = self.answered(coordinator, replies, answering)
        with pytest.raises(ProtocolAbort) as caught:
            self.close(branch, step)
        assert caught.value.code == CODES[step]

    def enough(
        self,
        step: int,
        coordinator: CoordinatorRound,
        sites: dict[str, SiteRound],
        replies: dict[str, bytes],
        answering: tuple[str, ...],
        survivors: tuple[str, ...],
    ) -> None:
        branch = self.answered(coordinator, replies, answering)
        if step == STEPS - 1:
            result = branch.finish()
            assert result.survivors == survivors
            assert result.values.tolist() == self.fed.plain_sum(survivors)
            self.patterns["sum"] += 1
            return
        self.close(branch, step)
        assert branch.expected == answering
        after = {name: self.fed.resumed(sites[name]) for name in answering}
        helper = self.play(self.fed)
        answer = helper.steps()[step][2]
        helper.sites = after
        said = {name: answer(after[name], branch.message_for(name)) for name in answering}
        self.visit(step + 1, branch, helper.sites, said, survivors)

    def answered(
        self, coordinator: CoordinatorRound, replies: dict[str, bytes], answering: tuple[str, ...]
    ) -> CoordinatorRound:
        branch = cloned(coordinator)
        for name in answering:
            assert branch.receive(name, replies[name]) is None
        return branch

    def close(self, branch: CoordinatorRound, step: int) -> None:
        helper = self.play(self.fed)
        helper.coordinator = branch
        if step == STEPS - 1:
            branch.finish()
        else:
            helper.steps()[step][0]()


@pytest.mark.parametrize(
    ("sites", "colluding", "bits"),
    [
        (2, 0, 32),
        (3, 0, 64),
        (3, 1, 32),
        (4, 0, 32),
        (4, 1, 64),
        (5, 0, 32),
        (5, 1, 64),
        (6, 1, 32),
    ],
)
def test_the_sum_is_exact_or_nothing_for_every_pattern_of_dropouts(
    federation: "type[Federation]", play: "type[Play]", sites: int, colluding: int, bits: int
) -> None:
    fed = federation(sites, colluding=colluding, bits=bits)
    fewest = 0 if sites <= 4 else fed.parameters.quorum - 1
    patterns = Explorer(fed, play, fewest=fewest).explore()
    assert sum(patterns.values()) == (STEPS + 1) ** sites
    if fed.parameters.tolerated == 0:
        # Nobody may go before step 7, and with t = N nobody after it.
        assert patterns["sum"] == 1
    assert set(patterns) == {"sum", *CODES}


def test_patterns_hold_without_shared_beginnings(
    federation: "type[Federation]", play: "type[Play]"
) -> None:
    fed = federation(6)
    for gone in (("site-0", "site-5"), ("site-2", "site-3")):
        for first, second in ((1, 3), (3, 5), (5, 7), (7, 9), (9, 1), (5, 5), (9, 9)):
            drops = dict(zip(gone, (first, second), strict=True))
            expected = tuple(name for name in fed.names if drops.get(name, 99) > 5)
            end = play(fed, drops=drops).run()
            assert end.result is not None
            assert end.result.survivors == expected
            assert end.result.values.tolist() == fed.plain_sum(expected)


def test_a_larger_least_number_of_survivors_is_kept(
    federation: "type[Federation]", play: "type[Play]"
) -> None:
    fed = federation(5, survivors=5)
    assert play(fed, drops={"site-2": 5}).run().code == "secagg/too-few-sites"
    assert play(fed, drops={"site-2": 7}).run().result is not None


@pytest.mark.parametrize("bits", [8, 16, 24, 32, 40, 48, 56, 64])
def test_the_sum_is_exact_in_every_width_and_wraps_at_it(
    federation: "type[Federation]", play: "type[Play]", bits: int
) -> None:
    fed = federation(4, bits=bits)
    half = 1 << (bits - 1)
    fed.vectors["site-0"][0] = half - 1
    fed.vectors["site-1"][0] = 1
    end = play(fed, drops={"site-3": 5}).run()
    assert end.result is not None
    expected = fed.plain_sum(("site-0", "site-1", "site-2"))
    assert expected[0] == half
    expected[0] = -half
    assert end.result.values.tolist() == expected


def test_every_restart_between_steps_leaves_the_sum_as_it_is(
    federation: "type[Federation]", play: "type[Play]"
) -> None:
    fed = federation(5, colluding=1)
    smooth = play(fed, drops={"site-1": 5}).run()
    rough = play(fed, drops={"site-1": 5}, restarts=True).run()
    assert smooth.result is not None
    assert rough.result is not None
    assert rough.sent == smooth.sent
    assert rough.result.values.tolist() == fed.plain_sum(smooth.result.survivors)


def test_the_result_says_who_was_missing_when(
    federation: "type[Federation]", play: "type[Play]"
) -> None:
    fed = federation(7)
    end = play(fed, drops={"site-0": 1, "site-1": 3, "site-2": 7}).run()
    assert end.result is not None
    missing = {step.name: names for step, names in end.result.missing.items()}
    assert missing == {
        "ADVERTISE": ("site-0",),
        "SHARES": ("site-1",),
        "MASKED": (),
        "SIGNATURE": ("site-2",),
        "REVEAL": (),
    }
    assert end.result.survivors == ("site-2", "site-3", "site-4", "site-5", "site-6")
