"""`data.toml`: strict, and never a place for a password."""

from pathlib import Path

import pytest

from recommons.client.sources.settings import read_settings
from recommons.common.errors import DataError

URL = "postgresql+psycopg://reader@db.example:5433/shop"
SECRET = "zebra-7741"  # noqa: S105 - what must not be shown


def settings(folder: Path, text: str) -> object:
    (folder / "data.toml").write_text(text, encoding="utf-8")
    return read_settings(folder, "events.parquet")


def test_without_the_file_the_events_are_those_of_site_json(tmp_path: Path) -> None:
    found = read_settings(tmp_path, "events.csv")
    assert found.events.files == ("events.csv",)
    assert found.events.kind == "csv"


def test_every_entry_is_read(tmp_path: Path) -> None:
    (tmp_path / "data.toml").write_text(
        f'version = 1\n[events]\nurl = "{URL}"\nquery = "SELECT 1"\npassword_env = "SHOP"\n'
        '[columns]\nuser_id = "customer"\n[filter]\nleast_value = 4.0\nevent_types = ["buy"]\n'
        '[cache]\nfolder = "/var/cache/x"\nmax_age_hours = 0.5\n'
    )
    found = read_settings(tmp_path, "")
    assert found.events.kind == "postgresql"
    assert found.names.user_id == "customer"
    assert found.positives.least_value == 4.0
    assert found.positives.event_types == ("buy",)
    assert (found.cache.folder, found.cache.max_age_hours) == ("/var/cache/x", 0.5)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "data/settings"),
        ("[events]\n", "data/settings"),
        ('[events]\nfiles = ["a.csv"]\nurl = "sqlite:///a"\nquery = "SELECT 1"\n', "data/settings"),
        ('[events]\nurl = "sqlite:///a"\n', "data/settings"),
        ('[events]\nquery = "SELECT 1"\nfiles = ["a.csv"]\n', "data/settings"),
        ('[events]\nfiles = ["a.csv"]\npassword_env = "X"\n', "data/settings"),
        (f'[events]\nfiles = ["a.csv"]\npassword = "{SECRET}"\n', "data/settings"),
        (f'[events]\nurl = ["{SECRET}"]\nquery = "SELECT 1"\n', "data/settings"),
        (f'[events]\nurl = "{SECRET}"\nquery = "SELECT 1"\n', "data/settings"),
        (f'version = 2\n[events]\nfiles = ["{SECRET}.csv"]\n', "data/settings"),
        (f'[events]\nfiles = ["{SECRET}"\n', "data/settings"),
        (
            f'[events]\nurl = "postgresql://u:{SECRET}@h/d"\nquery = "SELECT 1"\n',
            "data/password",
        ),
        (
            f'[events]\nurl = "postgresql://u@h/d?password={SECRET}"\nquery = "SELECT 1"\n',
            "data/password",
        ),
        (
            f'[events]\nurl = "postgresql://u@h/d?sslpassword={SECRET}"\nquery = "SELECT 1"\n',
            "data/password",
        ),
    ],
)
def test_what_is_wrong_is_named_and_never_shown(tmp_path: Path, text: str, code: str) -> None:
    with pytest.raises(DataError) as refused:
        settings(tmp_path, text)
    assert refused.value.code == code
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None  # a chained error would quote the file in a traceback


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[cash]\n", "cash: unknown; valid, nearest first: cache, "),
        ("[cache]\nfoldr = 'x'\n", "cache.foldr: unknown; valid, nearest first: folder, "),
        ("[column]\nuser_id = 'x'\n", "column: unknown; valid, nearest first: columns, "),
    ],
)
def test_an_unknown_table_or_key_is_told_with_those_there_are(
    tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(DataError) as refused:
        settings(tmp_path, '[events]\nfiles = ["a.csv"]\n' + text)
    assert f"data.toml: {told}" in refused.value.message


def of_url(folder: Path, reference: str) -> str | None:
    (folder / "data.toml").write_text(
        f'[events]\nurl = "{URL}"\nquery = "SELECT 1"\n{reference}\n', encoding="utf-8"
    )
    return read_settings(folder, "").events.connection_url(folder).password


def test_a_password_comes_from_the_environment_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert of_url(tmp_path, "") is None
    monkeypatch.setenv("SHOP", SECRET)
    assert of_url(tmp_path, 'password_env = "SHOP"') == SECRET
    (tmp_path / "secret").write_text(f"{SECRET}\nmore\n")
    assert of_url(tmp_path, 'password_file = "secret"') == SECRET
    assert of_url(tmp_path, f'password_file = "{tmp_path}/secret"') == SECRET


@pytest.mark.parametrize("reference", ['password_env = "NOBODY_SET"', 'password_file = "nowhere"'])
def test_a_reference_that_leads_nowhere_is_refused(tmp_path: Path, reference: str) -> None:
    with pytest.raises(DataError) as refused:
        of_url(tmp_path, reference)
    assert refused.value.code == "data/password"


def test_a_file_of_a_password_that_is_not_text_is_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(SECRET.encode() + b"\xff")
    with pytest.raises(DataError) as refused:
        of_url(tmp_path, 'password_file = "secret"')
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_file_of_sqlite_is_relative_to_the_site(tmp_path: Path) -> None:
    (tmp_path / "data.toml").write_text('[events]\nurl = "sqlite:///shop.db"\nquery = "SELECT 1"\n')
    url = read_settings(tmp_path, "").events.connection_url(tmp_path)
    assert url.database == str(tmp_path / "shop.db")
