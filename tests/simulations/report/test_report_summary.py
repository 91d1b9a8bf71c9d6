"""What the terminal says at the end of a run, and the sentences it shares with the page."""

import io
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from recommons.simulations.report import words
from recommons.simulations.report.schema import Report, parse_report
from recommons.simulations.report.summary import print_summary

Make = Callable[..., dict[str, Any]]


def report_of(document: dict[str, Any]) -> Report:
    return parse_report(json.dumps(document))


def summary_of(document: dict[str, Any], width: int = 100) -> str:
    output = io.StringIO()
    print_summary(
        report_of(document),
        Console(file=output, width=width),
        folder=Path("runs/001"),
        example_items="20682,22139",
    )
    return output.getvalue()


def test_the_four_ways_stand_in_a_table(make_document: Make) -> None:
    document = make_document()
    lines = summary_of(document).splitlines()
    for label, way in (
        ("noised popularity", document["baselines"]["popularity"]),
        ("the site alone", document["baselines"]["site_alone"]),
        ("the global model", document["metrics"]["global"]),
        ("global + own data, as served", document["metrics"]["served"]),
    ):
        (line,) = [line for line in lines if line.startswith(label)]
        figures = line[len(label) :].split()
        assert figures == [f"{value:.3f}" for value in way.values()]


def test_privacy_takes_one_sentence_with_its_terms(make_document: Make) -> None:
    told = " ".join(summary_of(make_document()).split())
    for part in ("any one user", "ε=7.79", "δ=10⁻⁶", "M=7", "c=1", "one user added or removed"):
        assert part in told
    assert "times as wide as it would be" in told
    assert "Spent: ε=7.79. Reserved, for every permitted attempt: ε=8." in told


def test_without_noise_the_summary_says_so(make_document: Make) -> None:
    told = " ".join(summary_of(make_document(epsilon=None)).split())
    assert "No privacy noise was added" in told
    assert "Price" not in told
    assert "ε=" not in told


def test_the_commands_to_try_next_are_never_broken(make_document: Make) -> None:
    lines = summary_of(make_document(), width=40).splitlines()
    assert any("recommons recommend runs/001 --items 20682,22139 -k 10" in line for line in lines)
    assert "  Open runs/001/report.html in a browser: the whole report, with pictures" in lines


def test_an_inferred_catalogue_is_marked_in_the_terminal(make_document: Make) -> None:
    assert "Catalogue assumed public" in summary_of(make_document(catalogue="assumed public"))
    assert "assumed public" not in summary_of(make_document())


def test_no_line_of_prose_is_wider_than_the_terminal(make_document: Make) -> None:
    lines = summary_of(make_document(), width=60).splitlines()
    prose = lines[: lines.index("Try next")]
    assert max(len(line) for line in prose) <= 60


def test_a_gain_a_loss_and_a_draw_are_told_apart(make_document: Make) -> None:
    document = make_document()
    served = document["metrics"]["served"]
    assert "raises Recall@20" in words.gain_sentence(report_of(document))
    assert "(+8.0 %)" in words.gain_sentence(report_of(document))
    served["recall@20"] = 0.13
    assert "lowers Recall@20" in words.gain_sentence(report_of(document))
    served["recall@20"] = 0.13814
    assert "leaves Recall@20" in words.gain_sentence(report_of(document))
    document["baselines"]["site_alone"]["recall@20"] = 0.0
    assert "%" not in words.gain_sentence(report_of(document))


def test_sites_are_counted_only_where_they_were_tested(make_document: Make) -> None:
    document = make_document(sites=4, untested=1)
    for site, (alone, served) in zip(
        document["sites"][1:], [(0.1, 0.2), (0.1, 0.1), (0.2, 0.1)], strict=True
    ):
        site.update(alone=alone, served=served)
    told = words.sites_sentence(report_of(document))
    assert told.startswith("1 of 3 sites with test users")
    assert "unknown" in words.sites_sentence(report_of(make_document(sites=3, untested=3)))


@pytest.mark.parametrize(
    ("epsilon", "percent"), [(1.0, "74 %"), (4.0, "99 %"), (8.0, "99.97 %"), (0.1, "53 %")]
)
def test_the_best_guess_follows_from_epsilon(
    make_document: Make, epsilon: float, percent: str
) -> None:
    document = make_document()
    document["privacy"] |= {"epsilon": epsilon, "cross_checks": {}}
    told = words.guess_sentence(report_of(document))
    assert f"right at most {percent} of the time" in told
    # Rounded up, never down: (e^ε + δ)/(e^ε + 1).
    exact = (math.exp(epsilon) + 1e-6) / (math.exp(epsilon) + 1)
    assert float(percent.split()[0]) / 100 >= exact - 1e-12


def test_a_large_epsilon_promises_nothing_about_guesses(make_document: Make) -> None:
    document = make_document()
    document["privacy"] |= {"epsilon": 700.0, "cross_checks": {}}
    told = words.guess_sentence(report_of(document))
    assert "may be right practically every time" in told


def test_a_budget_spent_to_the_end_is_told_as_such(make_document: Make) -> None:
    document = make_document()
    document["privacy"] |= {"epsilon": 7.9999, "cross_checks": {}}
    told = words.reserved_sentence(report_of(document))
    assert told == "All of the reserved ε = 8 was spent."


def test_limits_follow_the_plan(make_document: Make) -> None:
    document = make_document()
    document["privacy"]["colluding"] = 0
    document["privacy"]["max_sites_per_person"] = 3
    told = " ".join(words.limits(report_of(document)))
    assert "That no sites collude" in told
    assert "at up to 3 sites" in told


def test_an_accountant_that_contradicts_the_headline_is_told_in_red(make_document: Make) -> None:
    document = make_document()
    document["privacy"]["cross_checks"]["dp-accounting-pld"] = 9.5
    document["privacy"]["disagreements"] = ["dp-accounting-pld"]
    output = io.StringIO()
    console = Console(file=output, width=100, force_terminal=True, color_system="standard")
    print_summary(report_of(document), console, folder=Path("runs/001"))
    # 1;31 is bold red.
    assert re.search(r"\x1b\[1;31m[^\x1b]*Accountants disagree with ε=7.79", output.getvalue())
    assert "disagree" not in summary_of(make_document())


def test_a_guarantee_that_rests_on_sampling_says_so(make_document: Make) -> None:
    document = make_document()
    assert not any("draws each" in limit for limit in words.limits(report_of(document)))
    document["privacy"]["accountant"] = "pld"
    assert any("draws each of its users" in limit for limit in words.limits(report_of(document)))
