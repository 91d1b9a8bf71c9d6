from datetime import UTC, datetime
from pathlib import Path

import pytest

from recommons.client.agent.credentials import create_node_key
from recommons.common.errors import InvalidInput
from recommons.server.gateway import Members
from recommons.server.gateway.denial import Denial
from recommons.server.operating.superlink import coordinator_children
from recommons.server.records.home import CoordinatorHome, CoordinatorSettings

NOW = datetime(2026, 5, 1, tzinfo=UTC)
SETTINGS = CoordinatorSettings(federation="fruit", names=("coordinator.example", "192.0.2.7"))


@pytest.fixture
def home(tmp_path: Path) -> CoordinatorHome:
    return CoordinatorHome.create(tmp_path / "home", SETTINGS, now=NOW)


def test_a_home_is_read_back_and_never_made_twice(home: CoordinatorHome) -> None:
    assert CoordinatorHome.open(home.folder) == home
    with pytest.raises(InvalidInput) as refused:
        CoordinatorHome.create(home.folder, SETTINGS, now=NOW)
    assert refused.value.code == "coordinator/home"


def test_secrets_are_their_owners_alone(home: CoordinatorHome) -> None:
    for name in ("authority.key", "gateway.pem", "link.key", "superlink/secret"):
        assert (home.folder / name).stat().st_mode & 0o777 == 0o600, name
    assert home.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "text", ["", "federation = 3", "x = [", 'federation="a"\nnames=["b"]\nq=1']
)
def test_a_folder_that_is_no_home_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "federation.toml").write_text(text)
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(InvalidInput) as refused:
            CoordinatorHome.open(folder)
        assert refused.value.code == "coordinator/home"
    assert f"{tmp_path / 'none'} has no federation.toml" in refused.value.message
    assert "--home" in refused.value.remedy


def test_admitting_lists_a_site_and_dismissing_takes_it_off(
    home: CoordinatorHome, tmp_path: Path
) -> None:
    assert home.members() == []
    (tmp_path / "plum").mkdir()
    request = create_node_key(tmp_path / "plum", "plum")
    certificate = home.admit("plum", request, now=NOW)
    assert home.members() == ["plum"]
    assert list(home.node_keys()) == ["plum"]
    again = home.admit("plum", request, now=NOW)  # a renewal: the same key, another certificate
    assert again != certificate
    assert home.members() == ["plum"]
    home.dismiss("plum")
    assert home.members() == []
    with pytest.raises(Denial):
        Members(home.folder / "sites.json", "fruit").admit(None)


def test_flowers_processes_are_started_closed(home: CoordinatorHome) -> None:
    superlink, executor, gateway, desk = coordinator_children(home)
    flags = list(superlink.command)
    assert flags[flags.index("--host") + 1] == "127.0.0.1"
    assert flags[flags.index("--isolation") + 1] == "process"
    assert {"--enable-supernode-auth", "--disable-runtime-dependency-installation"} <= set(flags)
    assert "--insecure" not in [*superlink.command, *executor.command]
    assert not any("allow" in word for word in [*superlink.command, *executor.command])
    for child in (superlink, executor, gateway, desk):
        assert child.environment["FLWR_TELEMETRY_ENABLED"] == "0"
        assert child.environment["FLWR_DISABLE_UPDATE_CHECK"] == "1"
        assert child.environment["FLWR_HOME"].startswith(str(home.folder))
