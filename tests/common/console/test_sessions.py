from collections.abc import Callable
from pathlib import Path

import pytest

from recommons.common.console.listening import Listening, open_password
from recommons.common.console.passwords import PasswordRecord, password_from
from recommons.common.console.sessions import SESSION_SECONDS, LoginLimit, Sessions
from recommons.common.errors import InvalidInput


def counting() -> Callable[[int], bytes]:
    drawn = iter(range(1, 1000))
    return lambda size: next(drawn).to_bytes(size, "big")


def test_a_password_fits_its_record_alone_and_its_groups_are_for_the_eye() -> None:
    password = password_from(bytes(range(15)))
    record = PasswordRecord.from_bytes(PasswordRecord.make(password, b"s" * 16).to_bytes())
    assert len(password) == 27
    assert record.fits(password)
    assert record.fits(password.replace("-", "").upper())
    assert not record.fits(password[:-1])
    assert not record.fits("")


def test_a_password_is_shown_once_and_never_kept(tmp_path: Path) -> None:
    path = tmp_path / "console.json"
    record, password = open_password(path, renew=False, draw=counting())
    assert password is not None
    assert record.fits(password)
    assert password.replace("-", "") not in path.read_text().replace("-", "")
    assert path.stat().st_mode & 0o777 == 0o600
    assert open_password(path, renew=False, draw=counting()) == (record, None)
    path.write_text("{}")
    with pytest.raises(InvalidInput, match=r"console\.json") as error:
        open_password(path, renew=False, draw=counting())
    assert error.value.code == "console/password"


def test_a_session_ends_by_itself_and_by_logging_out() -> None:
    now = [0.0]
    sessions = Sessions(counting(), lambda: now[0])
    first, second = sessions.open(), sessions.open()
    assert sessions.holds(first)
    assert not sessions.holds(sessions.fresh())
    assert not sessions.holds(None)
    sessions.close(first)
    assert not sessions.holds(first)
    now[0] = SESSION_SECONDS
    assert not sessions.holds(second)


def test_a_form_fits_the_cookie_it_was_made_for_alone() -> None:
    sessions = Sessions(counting(), lambda: 0.0)
    cookie, other = sessions.open(), sessions.open()
    assert sessions.form_fits(cookie, sessions.form_token(cookie))
    assert not sessions.form_fits(other, sessions.form_token(cookie))
    assert not sessions.form_fits(None, sessions.form_token(cookie))
    assert not sessions.form_fits(cookie, None)


def test_tries_are_limited_within_a_window() -> None:
    now = [0.0]
    limit = LoginLimit(lambda: now[0], tries=2, seconds=60)
    assert [limit.try_again_in() for _ in range(3)] == [0, 0, 60]
    now[0] = 60.0
    assert limit.try_again_in() == 0


def test_nothing_but_loopback_is_served_without_tls() -> None:
    assert not Listening(host="127.0.0.1", port=1).secure
    with pytest.raises(InvalidInput) as error:
        Listening(host="0.0.0.0", port=1)  # noqa: S104 - it must be refused
    assert error.value.code == "console/tls"
