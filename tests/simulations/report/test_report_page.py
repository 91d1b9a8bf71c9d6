"""`report.html`: whole, self-contained, and true to `report.json`."""

import functools
import json
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from recommons.simulations.report.page import render_page
from recommons.simulations.report.schema import parse_report
from recommons.simulations.report.styles import page_style

Make = Callable[..., dict[str, Any]]

VOID = {"meta", "br", "link", "img", "hr", "input"}

# Figures that the page tells in a sentence instead.
IN_WORDS = {"/privacy/max_sites_per_person", "/privacy/noise_price"}
TWICE_IN_THE_FILE = {"/privacy/cross_checks/zcdp"}


class Page(HTMLParser):
    """A page, read strictly: tags must balance, ids must be distinct."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.figures: list[tuple[str, str, str]] = []
        self.text: dict[str, list[str]] = {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.attributes += [(tag, name, value) for name, value in found.items()]
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "data":
            self.figures.append((found["data-at"], found["value"], ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open:
            return
        self.text.setdefault(self.open[-1], []).append(data)
        if self.open[-1] == "data":
            place, value, _ = self.figures[-1]
            self.figures[-1] = (place, value, data)

    @property
    def words(self) -> str:
        """All that is read, with plain spaces and apostrophes."""
        joined = " ".join(" ".join(parts) for tag, parts in self.text.items() if tag != "style")
        return joined.replace("\u00a0", " ").replace("’", "'")


def page_of(document: dict[str, Any]) -> Page:
    return _page_of(json.dumps(document))


@functools.cache
def _page_of(text: str) -> Page:
    return Page(render_page(parse_report(text), example_items="20682,22139"))


def leaves(value: object, place: str = "") -> Iterator[tuple[str, object]]:
    """Every number of a JSON document with its JSON pointer."""
    if isinstance(value, dict):
        for name, inner in value.items():
            escaped = name.replace("~", "~0").replace("/", "~1")
            yield from leaves(inner, f"{place}/{escaped}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, f"{place}/{number}")
    elif isinstance(value, int | float):
        yield place, value


VARIANTS: dict[str, dict[str, Any]] = {
    "usual": {},
    "without noise": {"epsilon": None},
    "catalogue assumed public": {"catalogue": "assumed public"},
    "many sites and releases": {"sites": 60, "releases": 40},
    "nobody tested": {"sites": 3, "untested": 3},
    "one release": {"releases": 1},
}


@pytest.fixture(scope="module", params=list(VARIANTS.values()), ids=list(VARIANTS))
def document(request: pytest.FixtureRequest, make_document: Make) -> dict[str, Any]:
    return make_document(**request.param)


@pytest.fixture(scope="module")
def page(document: dict[str, Any]) -> Page:
    return page_of(document)


def test_every_figure_on_the_page_is_the_one_in_the_file(
    page: Page, document: dict[str, Any]
) -> None:
    known = dict(leaves(document))
    for place, value, shown in page.figures:
        assert shown
        if value == "null":
            assert place not in known
            assert shown == "∞"
        else:
            assert json.loads(value) == known[place]


def test_every_figure_in_the_file_is_on_the_page(page: Page, document: dict[str, Any]) -> None:
    shown = {place for place, _, _ in page.figures}
    wanted = {place for place, _ in leaves(document)}
    if document["privacy"]["epsilon"] is None:
        wanted = {place for place in wanted if not place.startswith("/privacy/")}
    missing = {place for place in wanted - shown if place not in IN_WORDS | TWICE_IN_THE_FILE}
    assert missing == set()


def test_scores_are_shown_to_three_digits(page: Page) -> None:
    scores = [entry for entry in page.figures if re.search(r"@|/served$|/alone$", entry[0])]
    assert scores
    for _, value, shown in scores:
        assert re.fullmatch(r"[01]\.\d{3}", shown)
        assert abs(float(shown) - float(value)) <= 0.0005 + 1e-12


def test_the_pictures_carry_the_same_figures(page: Page, document: dict[str, Any]) -> None:
    drawn = page.text["text"]
    for way in (*document["metrics"].values(), *document["baselines"].values()):
        for name in ("recall@20", "ndcg@20", "ndcg@100"):
            assert f"{way[name]:.3f}" in drawn


def test_the_page_loads_nothing(page: Page) -> None:
    for tag, name, value in page.attributes:
        assert tag not in {"script", "link", "iframe", "img", "object", "embed"}
        assert name != "src"
        assert not name.startswith("on")
        if name in {"href", "style", "clip-path"}:
            assert "//" not in value
            assert all(part.startswith("#") for part in re.findall(r"url\(([^)]*)\)", value))
        if name == "href":
            assert value.startswith("#")
    (css,) = page.text["style"]
    assert "url(" not in css
    assert "@import" not in css
    policies = [value for _, name, value in page.attributes if name == "content"]
    assert "default-src 'none'; style-src 'unsafe-inline'" in policies


def test_ids_are_distinct_and_references_meet_one(page: Page) -> None:
    assert len(page.ids) == len(set(page.ids))
    for _, name, value in page.attributes:
        if name == "aria-labelledby":
            assert set(value.split()) <= set(page.ids)
        if name == "href":
            assert value[1:] in page.ids
        for part in re.findall(r"url\(#([^)]*)\)", value):
            assert part in page.ids


def test_every_picture_has_a_title_a_description_and_a_table(page: Page) -> None:
    pictures = [entry for entry in page.attributes if entry == ("svg", "role", "img")]
    tables = [entry for entry in page.attributes if entry[:2] == ("div", "role")]
    # One title more than pictures: the page's own.
    assert len(page.text["title"]) == len(pictures) + 1
    assert len(page.text["desc"]) == len(pictures)
    assert len(tables) >= 4


def test_pictures_take_their_colours_from_the_page(page: Page) -> None:
    inline = " ".join(value for _, name, value in page.attributes if name == "style")
    assert "currentColor" in inline
    assert "var(--served)" in inline
    assert re.findall(r"#[0-9a-fA-F]{6}\b", inline) == []
    (css,) = page.text["style"]
    assert set(re.findall(r"var\((--[a-z]+)\)", inline)) <= set(re.findall(r"(--[a-z]+):", css))


def test_the_page_says_what_is_not_covered(page: Page) -> None:
    assert "it protected nobody" in page.words
    assert "is an assumption about people" in page.words
    assert "rests on the code it runs" in page.words


def test_the_guarantee_is_in_words_with_its_terms(make_document: Make) -> None:
    words = page_of(make_document()).words
    for part in (
        "Whether or not any one user took part (one user added or removed)",
        "(ε = 7.79)",
        "δ = 10⁻⁶",
        "M = 7",
        "c = 1",
    ):
        assert part in words
    assert "No privacy noise was added" not in words


def test_without_noise_no_guarantee_is_claimed(make_document: Make) -> None:
    words = page_of(make_document(epsilon=None)).words
    assert "No privacy noise was added" in words
    assert "Whether or not any one user" not in words
    assert "the promises add up" not in words


@pytest.mark.parametrize("catalogue", ["public", "assumed public"])
def test_an_inferred_catalogue_is_marked(make_document: Make, catalogue: str) -> None:
    words = page_of(make_document(catalogue=catalogue)).words
    assert words.count("Catalogue assumed public") == (2 if catalogue == "assumed public" else 0)


def test_steps_stand_in_the_order_of_the_protocol(make_document: Make) -> None:
    figures = page_of(make_document()).figures
    timed = [place.rpartition("/")[2] for place, _, _ in figures if "seconds_by_step" in place]
    assert timed == ["advertise", "keys", "masked", "release"]


def test_sites_of_one_size_share_one_place(make_document: Make) -> None:
    document = make_document()
    for site in document["sites"]:
        site["users_declared"] = 740
    drawn = page_of(document).text["text"]
    start = drawn.index("Recall@20 as served, less that alone")
    ticks = [text for text in drawn[:start] if re.fullmatch(r"[67]\d\d|8\d\d", text)]
    assert len(ticks) == len(set(ticks)) >= 3


def test_names_cannot_become_markup(make_document: Make) -> None:
    hostile = '<script>alert("1")</script> & $x_1$'
    document = make_document()
    document["data"]["name"] = hostile
    document["sites"][1]["name"] = hostile
    document["privacy"]["releases"][0]["block"] = hostile
    document["command"] = hostile
    text = render_page(parse_report(json.dumps(document)), example_items=hostile)
    assert "<script" not in text
    page = Page(text)
    assert any(hostile in part for part in page.text["text"])


def test_a_model_without_a_width_is_described_without_one(make_document: Make) -> None:
    document = make_document()
    document["model"]["dim"] = None
    document["baselines"]["ease_centralised"] = None
    words = page_of(document).words
    assert "dimensions" not in words
    assert "EASE" not in words


def test_bytes_by_step_may_be_left_out(make_document: Make) -> None:
    document = make_document()
    document["secure_aggregation"]["bytes_up_by_step"] = {}
    document["secure_aggregation"]["bytes_down_by_step"] = {}
    page = page_of(document)
    assert "bytes-by-step-title" not in page.ids
    assert "seconds-by-step-title" in page.ids


def test_the_same_report_gives_the_same_page(make_document: Make) -> None:
    report = parse_report(json.dumps(make_document()))
    assert render_page(report) == render_page(report)


WRONG = {
    "an exact accountant far above": ("dp-accounting-pld", 9.5),
    "an exact accountant a little below": ("dp-accounting-pld", 7.7),
    "a bound below": ("zcdp", 7.7),
    "a bound far above": ("x/y", 40.0),
    "no figure at all": ("dp-accounting-pld", None),
}


@pytest.mark.parametrize(("name", "figure"), list(WRONG.values()), ids=list(WRONG))
def test_an_accountant_that_contradicts_the_headline_is_shown_in_red(
    make_document: Make, name: str, figure: float | None
) -> None:
    document = make_document()
    document["privacy"]["cross_checks"][name] = figure
    if name == "zcdp":
        document["privacy"]["zcdp_epsilon"] = figure
    document["privacy"]["disagreements"] = [name]
    page = page_of(document)
    rows = [value for tag, what, value in page.attributes if (tag, what) == ("tr", "class")]
    assert rows.count("wrong") == 1
    marks = [value for tag, what, value in page.attributes if (tag, what) == ("p", "class")]
    assert marks.count("mark wrong") == 2
    assert "Accountants disagree with ε = 7.79" in page.words
    assert ": disagrees" in page.words
    # The headline itself is untouched, and the wrong figure stands as it is.
    figures = {place: value for place, value, _ in page.figures}
    assert json.loads(figures["/privacy/epsilon"]) == document["privacy"]["epsilon"]
    place = "/privacy/zcdp_epsilon" if name == "zcdp" else _pointer(name)
    assert json.loads(figures[place]) == figure


def _pointer(name: str) -> str:
    return "/privacy/cross_checks/" + name.replace("/", "~1")


def test_red_is_a_colour_of_its_own_on_light_dark_and_paper() -> None:
    css = page_style()
    shades = re.findall(r"--wrong: (#[0-9a-f]{6});", css)
    assert len(shades) == 3
    for shade in shades:
        red, green, blue = (int(shade[place : place + 2], 16) for place in (1, 3, 5))
        assert red > 1.5 * max(green, blue)
    assert re.search(r"tr\.wrong[^{]*\{[^}]*color: var\(--wrong\)", css)
    assert re.search(r"\.mark\.wrong \{[^}]*color: var\(--wrong\)", css)


def test_where_accountants_agree_nothing_is_red(page: Page) -> None:
    assert "wrong" not in {value for _, what, value in page.attributes if what == "class"}
    assert "disagree" not in page.words
