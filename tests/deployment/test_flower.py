"""`flwr run` with the thin bundle: in Flower's simulation, and over Flower's own SuperNodes.

Everything is Flower's own programs, as real processes; of ours only the apps that are installed.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.cli.build import build_fab_from_disk
from flwr.supercore.task_identity import TaskIdentity
from safetensors.numpy import load_file

from recommons.client.app import app
from recommons.common import commandline
from recommons.common.bundle import BUNDLE_FILES, BUNDLE_HASH
from recommons.common.wire import Envelope
from recommons.server.records.folder import CoordinatorFolder
from recommons.simulations.loopback import Loopback, free_port, wait_until
from recommons.simulations.stock import StockNodes
from recommons.simulations.training_run import run_in_process
from tests.deployment.conftest import Deployment, found_deployment

pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")

BINARIES = Path(sys.executable).parent
_SECONDS = 900  # a process for every message, each of which loads all of Recommons


def flwr_run(folder: Path, *words: str, **environment: str) -> str:
    """Flower's own command, as a person types it, until the run is over."""
    done = subprocess.run(
        [str(BINARIES / "flwr"), "run", str(folder / "thin"), *words, "--stream"],
        env={**os.environ, **of_flower(folder), **environment},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def of_flower(folder: Path) -> dict[str, str]:
    return {
        "FLWR_HOME": str(folder / "flwr"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "NO_PROXY": "127.0.0.1,localhost",
        "PATH": f"{BINARIES}:/usr/bin:/bin",
    }


def bundle(folder: Path) -> None:
    assert commandline.main(["coordinator", "bundle", str(folder / "thin")]) == 0


def sums(rounds: Path, count: int) -> list[npt.NDArray[np.int64]]:
    return [load_file(rounds / f"{number:02d}.safetensors")["sum"] for number in range(count)]


def sums_in_process(folder: Path) -> list[npt.NDArray[np.int64]]:
    """Without noise a sum is exact: the in-process engine gives the same integers."""
    run = CoordinatorFolder.open(folder / "coordinator")
    run_in_process(folder, run)
    return sums(run.folder / "rounds", len(run.plan.rounds))


def test_the_bundle_is_the_one_that_agents_accept_and_holds_no_code(tmp_path: Path) -> None:
    bundle(tmp_path)
    assert {path.name for path in (tmp_path / "thin").iterdir()} == set(BUNDLE_FILES)
    built = build_fab_from_disk(tmp_path / "thin")
    assert hashlib.sha256(built).hexdigest() == BUNDLE_HASH
    assert commandline.main(["coordinator", "bundle", str(tmp_path / "thin")]) == 2


def test_a_run_is_founded_without_being_started(
    tmp_path: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    founded = found_deployment(tmp_path, tiny_data)
    kept = found_run(founded, capsys)
    assert (kept / "plan.json").exists()
    assert founded.state("001")[0] == "waiting"


def found_run(founded: Deployment, capsys: pytest.CaptureFixture[str]) -> Path:
    """`recommons coordinator run PLAN.toml --no-start`; the folder it prints."""
    capsys.readouterr()
    home = ["--home", str(founded.home.folder)]
    plan = str(founded.write_plan())
    assert commandline.main(["coordinator", "run", plan, "--no-start", *home]) == 0
    return Path(capsys.readouterr().out.strip())


@pytest.mark.slow
def test_a_run_over_stock_supernodes_gives_the_same_sums_and_passes_the_audit(
    tmp_path: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    founded = found_deployment(tmp_path, tiny_data)
    kept = found_run(founded, capsys)
    bundle(tmp_path)
    (tmp_path / "flwr").mkdir()
    (tmp_path / "flwr" / "config.toml").write_text(
        '[superlink]\ndefault = "fruit"\n[superlink.fruit]\n'
        f'address = "{founded.home.superlink_address}"\n'
        f'root-certificates = "{founded.home.folder / "authority.pem"}"\n'
    )
    sites = {site: founded.site(site) for site in founded.cohort}
    with StockNodes(Loopback(founded.home, sites, founded.cohort)).running():
        flwr_run(tmp_path, "fruit", "--run-config", f'coordinator-dir="{kept}"')
    assert founded.state("001") == ("finished", None)
    expected = sums_in_process(tmp_path / "twin")
    for found, exact in zip(sums(kept / "rounds", len(expected)), expected, strict=True):
        assert exact.any()
        np.testing.assert_array_equal(found, exact)
    folders = [str(founded.home.folder), *map(str, sites.values())]
    trust = str(founded.home.folder / "federation.json")
    assert commandline.main(["audit", *folders, "--trust", trust]) == 0
    # No agent fetches the release: it is copied, and checked like any other.
    plum = next(iter(sites.values()))
    shutil.copytree(founded.home.folder / "releases", plum / "models")
    capsys.readouterr()
    assert commandline.main(["recommend", str(plum), "--items", "i01,i02", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["recommendations"]) == 10


@pytest.mark.slow
def test_a_run_in_flowers_simulation_gives_the_same_sums_and_goes_on_to_the_report(
    tmp_path: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray")
    run = tmp_path / "run"
    options = ["--data", str(tiny_data), "--sites", "3", "--model", "ease", "--epsilon", "inf"]
    command = ["simulate", *options, "--engine", "flower", "--output", str(run), "--json"]
    assert commandline.main(command) == 0
    words = json.loads(capsys.readouterr().out)["flwr"]
    shutil.copytree(run, tmp_path / "twin")
    bundle(tmp_path)
    with local_superlink(tmp_path) as port:
        flwr_run(
            tmp_path,
            "local",
            *(word for name, value in words.items() for word in (f"--{name}", value)),
            FLWR_LOCAL_SUPERLINK_HTTP_API_PORT=str(port),
        )
    (found,) = sums(run / "coordinator" / "rounds", 1)
    (exact,) = sums_in_process(tmp_path / "twin")
    assert exact.any()
    np.testing.assert_array_equal(found, exact)
    assert commandline.main(["simulate", "--resume", "--output", str(run), "--quiet"]) == 0
    assert json.loads((run / "report.json").read_bytes())
    release, _ = read_release(run)
    assert release.model == "ease"


def read_release(run: Path) -> Any:
    from recommons.client.serving.release_files import read_release

    return read_release(run / "model")


@contextmanager
def local_superlink(folder: Path) -> Iterator[int]:
    """What `flwr run … local` starts by itself and leaves running; here it is ended."""
    port = free_port()
    with (folder / "superlink.log").open("wb") as log:
        superlink = subprocess.Popen(
            [
                str(BINARIES / "flower-superlink"),
                *("--insecure", "--simulation", "--host", "127.0.0.1", "--port", str(port)),
            ],
            env={**os.environ, **of_flower(folder)},
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(lambda: b"running on" in (folder / "superlink.log").read_bytes())
        yield port
    finally:
        superlink.terminate()
        superlink.wait(30)


def test_a_server_cannot_name_the_folder_that_a_real_node_opens(
    tmp_path: Path, tiny_data: Path
) -> None:
    """`sites-dir` is believed inside of Flower's simulation engine alone."""
    founded = found_deployment(tmp_path, tiny_data)
    TaskIdentity.task_id = TaskIdentity.run_id = TaskIdentity.node_id = 1
    header = Envelope(run_id=b"r" * 16, exchange="join").to_bytes()
    record = ConfigRecord({"envelope": header, "body": b""})
    asked = Message(RecordDict({"recommons": record}), 1, "train.join")
    context = Context(
        run_id=1,
        node_id=1,
        node_config={"partition-id": 0},
        state=RecordDict(),
        run_config={"sites-dir": str(founded.folder / "sites")},
    )
    reply = app(asked, context)
    assert reply.content.config_records["recommons"]["refusal"] == "site/folder"
