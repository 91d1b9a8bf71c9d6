"""README's commands, run: each as it stands, but on tiny data and few sites."""

import re
import tomllib
from pathlib import Path

import polars as pl
import pytest

from recommons.common.commandline import main
from recommons.simulations.online_retail import online_retail_folder

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
LINES = [line for block in BLOCKS for line in block.splitlines()]
COMMANDS = [
    part.split()[1:] for line in LINES for part in line.split(" && ") if "recommons " in part
]
SMALL = {
    "simulate": {"--sites": "5"},
    "bench": {"--sites": "5", "--runs": "1", "--epsilons": "inf"},
}


def with_options(words: list[str], options: dict[str, str]) -> list[str]:
    """The same command with these options in place of its own."""
    kept = list(words)
    for name, value in options.items():
        if name in kept:
            kept[kept.index(name) + 1] = value
        else:
            kept += [name, value]
    return kept


def of(name: str) -> list[list[str]]:
    return [words for words in COMMANDS if words[0] == name]


@pytest.fixture(scope="module")
def place(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to run in, with the files that README names and a first run in `runs/001`."""
    folder = tmp_path_factory.mktemp("readme")
    events = (tiny_data / "events.csv").read_text()
    (folder / "new-users.csv").write_text(events.replace("\nu", "\nnew-u"))
    renamed = events.replace("user_id,item_id", "customer,sku")
    (folder / "events.csv").write_text(renamed)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        first = with_options(of("simulate")[0], SMALL["simulate"] | {"--data": str(tiny_data)})
        assert main([*first, "--quiet"]) == 0
    return folder


def test_the_first_screen_has_exactly_the_two_commands() -> None:
    assert BLOCKS[0] == (
        "pip install -e . && recommons simulate\npip install -e '.[dev]' && pytest\n"
    )
    assert TEXT[: TEXT.index(BLOCKS[0])].count("\n") < 20
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "pytest" in " ".join(project["optional-dependencies"]["dev"])


def test_the_first_run_leaves_what_readme_says(place: Path) -> None:
    left = place / "runs" / "001"
    named = re.findall(r"^\| (`.*?) \|", TEXT[TEXT.index("then holds") :], re.MULTILINE)[:4]
    names = [name for cell in named for name in re.findall(r"`([^`]+)`", cell)]
    assert names == ["report.html", "report.json", "model/", "coordinator/", "sites/<site>/"]
    for name in names:
        assert (left / name.replace("<site>", "site-01")).exists(), name
    assert {path.name for path in (left / "model").iterdir()} == {"model.safetensors", "model.json"}


@pytest.mark.parametrize("words", of("simulate")[1:], ids=" ".join)
def test_a_simulate_command_runs(
    words: list[str],
    place: Path,
    tiny_data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(place)
    data = {} if "--data" in words else {"--data": str(tiny_data)}
    assert main([*with_options(words, SMALL["simulate"] | data), "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert "the site alone" in printed
    assert "Try next" in printed


@pytest.mark.parametrize("words", of("recommend"), ids=" ".join)
def test_a_recommend_command_runs(
    words: list[str],
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(place)
    ours = {"--items": "i01,i02"} if "--items" in words else {}
    assert main(with_options(words, ours)) == 0
    printed = capsys.readouterr().out
    if "--output" in words:
        table = pl.read_parquet(place / words[words.index("--output") + 1])
        assert table.columns == ["user_id", "item_id", "rank", "score", "basis"]
        assert table["user_id"].str.starts_with("new-u").all()
        assert table["rank"].max() == int(words[words.index("-k") + 1])
    else:
        assert ("site-03" if "--site" in words else "the global model") in printed


def test_the_bench_command_runs(
    place: Path,
    tiny_data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(place)
    options = SMALL["bench"] | {"--data": str(tiny_data)}
    (quality,) = (words for words in of("bench") if "quality" in words and "--data" not in words)
    assert main(with_options(quality, options)) == 0
    assert "Recall@20" in capsys.readouterr().out


def test_the_audit_commands_pass_on_the_first_run(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    for words in of("audit"):
        if "empirical" not in words:  # takes minutes; tests/simulations/empirical runs it small
            assert main(words) == 0, capsys.readouterr().out
    assert "passed" in capsys.readouterr().out.lower()
    assert "<html" in (place / "audit.html").read_text(encoding="utf-8")


def test_the_budget_command_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    for words in of("budget"):
        assert main(words) == 0
    assert "ε" in capsys.readouterr().out


def test_the_basket_that_readme_shows_is_in_the_embedded_data() -> None:
    items = pl.read_parquet(online_retail_folder() / "items.parquet")
    titles = dict(zip(items["item_id"], items["title"], strict=True))
    (basket,) = {words[words.index("--items") + 1] for words in COMMANDS if "--items" in words}
    for item in basket.split(","):
        assert f"  {item}  {titles[item]}" in TEXT
