"""What the SuperLink says of a run, by Flower's own codes."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from flwr.supercore.error import ApiErrorCode

from recommons.common.errors import RecommonsError
from recommons.server.operating.control import Control
from recommons.server.records.home import CoordinatorHome, CoordinatorSettings


@pytest.fixture
def control(tmp_path: Path) -> Control:
    settings = CoordinatorSettings(federation="fruit", names=("127.0.0.1",))
    return Control(CoordinatorHome.create(tmp_path / "home", settings, now=datetime.now(UTC)))


def refusing(status: int, code: int) -> Callable[[object], None]:
    def call(_request: object) -> None:
        request = httpx.Request("POST", "https://127.0.0.1")
        answer = httpx.Response(status, json={"code": code, "detail": "no"}, request=request)
        raise httpx.HTTPStatusError("no", request=request, response=answer)

    return call


def test_a_run_that_the_superlink_does_not_know_is_over(control: Control) -> None:
    call = refusing(404, ApiErrorCode.RUN_ID_NOT_FOUND)
    control._client = SimpleNamespace(ListRuns=call)  # type: ignore[assignment]
    assert control.run_state(7).over


@pytest.mark.parametrize("status", [404, 500])
def test_another_refusal_says_nothing_about_a_run(control: Control, status: int) -> None:
    control._client = SimpleNamespace(ListRuns=refusing(status, -1))  # type: ignore[assignment]
    with pytest.raises(RecommonsError) as refused:
        control.run_state(7)
    assert refused.value.code == "coordinator/superlink"
