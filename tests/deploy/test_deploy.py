"""What `docs/deploy` holds passes the linters of its own kind, and is as hardened as it says.

A linter that is not installed is skipped by name; `.[dev]` brings all but systemd's.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from recommons.common import commandline

DEPLOY = Path(__file__).parents[2] / "docs" / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
RESOURCES = [
    path
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    if path.name != "kustomization.yaml"
]
_EXPOSURE = 15  # tenths, of 100: what systemd calls OK begins at 50


def lint(tool: str, *arguments: str | Path, silent_about: str | None = None) -> None:
    """Run a linter; its complaints are the failure's message.

    Args:
        tool: Its name.
        arguments: Its arguments.
        silent_about: What no line of its output may name: some only warn.
    """
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    ran = subprocess.run([tool, *arguments], capture_output=True, text=True, check=False)
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0, said
    assert silent_about is None or silent_about not in said, said


def documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def installed(unit: Path, folder: Path) -> Path:
    """The unit with a command that exists here: systemd checks that, too."""
    text = unit.read_text().replace("/opt/recommons/bin/recommons", "/bin/true")
    copy = folder / unit.name
    copy.write_text(text)
    return copy


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_the_unit_and_finds_it_hardened(unit: Path, tmp_path: Path) -> None:
    copy = installed(unit, tmp_path)
    lint("systemd-analyze", "verify", "--man=no", copy, silent_about=unit.name)
    lint("systemd-analyze", "security", "--offline=true", f"--threshold={_EXPOSURE}", copy)


def test_systemd_would_find_a_unit_that_is_wrong(tmp_path: Path) -> None:
    copy = installed(UNITS[0], tmp_path)
    copy.write_text(copy.read_text().replace("NoNewPrivileges=yes", "NoNewPrivileges=perhaps"))
    with pytest.raises(AssertionError, match="Failed to parse boolean"):
        lint("systemd-analyze", "verify", "--man=no", copy, silent_about=copy.name)
    copy = installed(UNITS[0], tmp_path)
    copy.write_text(re.sub(r"^(Protect|Private|Restrict).*\n", "", copy.read_text(), flags=re.M))
    with pytest.raises(AssertionError):
        lint("systemd-analyze", "security", "--offline=true", f"--threshold={_EXPOSURE}", copy)


def test_hadolint_takes_the_dockerfile() -> None:
    lint("hadolint", DEPLOY / "Dockerfile")


def test_the_image_runs_as_nobody_in_particular_and_holds_no_more_than_the_wheel_needs() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    final = text[text.rindex("FROM ") :]
    assert re.search(r"^USER 10001:10001$", final, re.M)
    assert final.index("USER") < final.index("ENTRYPOINT")
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    needed = [line[1:] for line in ignored if line.startswith("!")]
    root = DEPLOY.parents[1]
    assert all((root / name).exists() for name in needed)
    assert {"client", "common", "server", "simulations", "pyproject.toml"} <= set(needed)


def test_compose_holds_the_specification_s_own_schema() -> None:
    lint(
        "check-jsonschema",
        *("--builtin-schema", "vendor.compose-spec"),
        DEPLOY / "compose.yaml",
    )


def test_kubernetes_schemas_hold_for_every_resource() -> None:
    lint("kubernetes-validate", "--strict", *RESOURCES)


def test_yaml_is_tidy() -> None:
    lint("yamllint", "--strict", "-c", DEPLOY / ".yamllint", DEPLOY)


def test_every_service_of_compose_is_hardened() -> None:
    (compose,) = documents(DEPLOY / "compose.yaml")
    for service in compose["services"].values():
        assert service["user"] == "10001:10001"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not service.get("privileged")
        assert not service.get("network_mode")
    assert "ports" not in compose["services"]["site"], "a site connects outwards only"


def pods() -> Iterator[dict[str, Any]]:
    for path in RESOURCES:
        for document in documents(path):
            if document["kind"] == "StatefulSet":
                yield document["spec"]["template"]["spec"]


def test_every_pod_is_hardened() -> None:
    found = list(pods())
    assert len(found) == 2
    for pod in found:
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            rules = container["securityContext"]
            assert rules["readOnlyRootFilesystem"] is True
            assert rules["allowPrivilegeEscalation"] is False
            assert rules["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"]


def test_kustomization_names_every_manifest() -> None:
    (custom,) = documents(DEPLOY / "kubernetes" / "kustomization.yaml")
    assert set(custom["resources"]) == {path.name for path in RESOURCES}


def test_kustomize_puts_them_together_and_the_whole_holds_the_schemas(tmp_path: Path) -> None:
    """What `kubectl apply -k` would send, built by kubectl itself; no cluster is asked."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    folder = DEPLOY / "kubernetes"
    built = subprocess.run(
        ["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=True
    )
    whole = tmp_path / "whole.yaml"
    whole.write_text(built.stdout)
    lint("kubernetes-validate", "--strict", whole)
    found = documents(whole)
    assert len(found) == sum(len(documents(path)) for path in RESOURCES)
    spread = [one for one in found if one["kind"] != "Namespace"]
    assert {one["metadata"]["namespace"] for one in spread} == {"recommons"}
    assert "image: recommons\n" not in built.stdout, "every image has a tag"


def test_probes_ask_what_the_commands_answer() -> None:
    """A probe's port is one that the container's own command opens."""
    probed = 0
    for pod in pods():
        for container in pod["containers"]:
            ports = {port["name"]: port["containerPort"] for port in container["ports"]}
            for name in ("livenessProbe", "readinessProbe"):
                probe = container[name]
                if "httpGet" in probe:
                    probed += 1
                    assert probe["httpGet"]["path"] in {"/livez", "/readyz"}
                    health = container["args"][container["args"].index("--health") + 1]
                    assert health.endswith(f":{ports[probe['httpGet']['port']]}")
    assert probed == 3
    (compose,) = documents(DEPLOY / "compose.yaml")
    for service in compose["services"].values():
        health = service["command"][service["command"].index("--health") + 1]
        assert f"http://127.0.0.1:{health}/livez" in service["healthcheck"]["test"][-1]


def commands() -> list[list[str]]:
    """What units, services and pods run."""
    found = []
    for unit in UNITS:
        line = next(x for x in unit.read_text().splitlines() if x.startswith("ExecStart="))
        found.append(line.split()[1:])
    (compose,) = documents(DEPLOY / "compose.yaml")
    found += [service["command"] for service in compose["services"].values()]
    found += [container["args"] for pod in pods() for container in pod["containers"]]
    return [line.split() for line in sorted({" ".join(command) for command in found})]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_the_commands_are_commands_of_ours(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words, options = command[:2], [word for word in command if word.startswith("--")]
    assert commandline.main([*words, "--help"]) == 0
    said = capsys.readouterr().out
    assert all(option in said for option in options)
