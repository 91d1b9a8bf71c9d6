"""Telling the SuperLink what to do: who its nodes are, and which run to start.

Flower's control interface knows no users: whoever reaches the SuperLink's port commands it. It
listens on loopback behind the gateway for that reason, and a coordinator's host should have no
users who are not its operators.
"""

import hashlib
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.cli.build import build_fab_from_files
from flwr.common.serde import fab_to_proto, user_config_to_proto
from flwr.proto.control_pb2 import (
    ListNodesRequest,
    ListRunsRequest,
    RegisterNodeRequest,
    StartRunRequest,
    StopRunRequest,
    UnregisterNodeRequest,
)
from flwr.supercore.control import ControlHttpClient
from flwr.supercore.error import ApiErrorCode, FlowerError
from flwr.supercore.fab import Fab
from flwr.supercore.primitives.asymmetric import public_key_to_bytes

from recommons.common.bundle import BUNDLE_FILES, COORDINATOR_SETTING
from recommons.common.errors import RecommonsError
from recommons.server.records.home import CoordinatorHome

__all__ = ["Control", "RunState", "connected", "connected_nodes"]

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class RunState:
    """Where a Flower run stands.

    Attributes:
        status: ``pending``, ``starting``, ``running`` or ``finished``.
        outcome: ``completed``, ``failed`` or ``stopped`` once it is finished; empty where the
            SuperLink knows nothing of it.
    """

    status: str
    outcome: str

    @property
    def over(self) -> bool:
        """Whether it is finished."""
        return self.status == "finished"


class Control:
    """A line to the SuperLink's control interface; a context manager."""

    def __init__(self, home: CoordinatorHome) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(home.folder / "authority.pem")
        self._client = ControlHttpClient(
            f"https://{home.superlink_address}", verify=context, timeout=15.0
        )
        # Neither a proxy of the environment nor a redirect belongs on the way to loopback.
        self._client._client.close()
        self._client._client = httpx.Client(verify=context, timeout=15.0, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._client.close()

    def register(self, site: str, key: ec.EllipticCurvePublicKey) -> None:
        """Make a node known; nothing to do where it is."""
        request = RegisterNodeRequest(public_key=public_key_to_bytes(key), name=site)
        try:
            self._client.RegisterNode(request)
        except httpx.HTTPStatusError as error:
            if not _says(error, ApiErrorCode.PUBLIC_KEY_ALREADY_IN_USE):
                raise _failed(error) from error
        except httpx.TransportError as error:
            raise _failed(error) from error

    def unregister_others(self, members: Iterable[ec.EllipticCurvePublicKey]) -> None:
        """Make every node unknown whose key is not one of these."""
        known = {public_key_to_bytes(key) for key in members}
        for node in _named(lambda: self._client.ListNodes(ListNodesRequest())).nodes_info:
            if node.public_key not in known and node.status != "unregistered":
                request = UnregisterNodeRequest(node_id=node.node_id)
                _named(lambda: self._client.UnregisterNode(request))  # noqa: B023 - called here

    def online(self) -> int:
        """How many nodes are connected."""
        return len(self.online_nodes())

    def online_nodes(self) -> Mapping[bytes, int]:
        """Flower's ids of the nodes that are connected, by their keys, PEM."""
        nodes = _named(lambda: self._client.ListNodes(ListNodesRequest())).nodes_info
        return {bytes(n.public_key): n.node_id for n in nodes if n.status == "online"}

    def start_run(self, coordinator_folder: Path) -> int:
        """Start a run of the coordinator's app on a folder; returns Flower's id of the run."""
        content, _ = build_fab_from_files(dict(BUNDLE_FILES))
        fab = Fab(hashlib.sha256(content).hexdigest(), content, {})
        settings: dict[str, bool | float | int | str] = {
            COORDINATOR_SETTING: str(coordinator_folder.absolute())
        }
        request = StartRunRequest(
            fab=fab_to_proto(fab), override_config=user_config_to_proto(settings)
        )
        response = _named(lambda: self._client.StartRun(request))
        if not response.HasField("run_id"):
            raise RecommonsError("coordinator/superlink", "the SuperLink did not start the run")
        return int(response.run_id)

    def run_state(self, run_id: int) -> RunState:
        """Where a run stands; one that the SuperLink does not know is over."""
        try:
            response = self._client.ListRuns(ListRunsRequest(run_id=run_id))
        except httpx.HTTPError as error:
            # Its state was put aside, or is another's: nobody carries out a run of which it knows
            # nothing.
            if _says(error, ApiErrorCode.RUN_ID_NOT_FOUND):
                return RunState(status="finished", outcome="")
            raise _failed(error) from error
        status = response.run_dict[run_id].status
        return RunState(status=status.status, outcome=status.sub_status)

    def stop_run(self, run_id: int) -> None:
        """End a run."""
        _named(lambda: self._client.StopRun(StopRunRequest(run_id=run_id)))


def connected(home: CoordinatorHome) -> frozenset[str] | None:
    """The sites that are connected now; None where the SuperLink is away."""
    nodes = connected_nodes(home)
    return None if nodes is None else frozenset(nodes)


def connected_nodes(home: CoordinatorHome) -> Mapping[str, int] | None:
    """Flower's ids of their nodes, by site; None where the SuperLink is away."""
    pems = {public_key_to_bytes(key): site for site, key in home.node_keys().items()}
    try:
        with Control(home) as control:
            online = control.online_nodes()
    except RecommonsError:
        return None
    return {pems[key]: node for key, node in online.items() if key in pems}


def _named(call: Callable[[], _T]) -> _T:
    try:
        return call()
    except httpx.HTTPError as error:
        raise _failed(error) from error


def _says(error: httpx.HTTPError, code: ApiErrorCode) -> bool:
    """Whether the SuperLink answered with this of Flower's codes."""
    if not isinstance(error, httpx.HTTPStatusError):
        return False
    told = FlowerError.from_json(error.response.text)
    return told is not None and told.code == code


def _failed(error: httpx.HTTPError) -> RecommonsError:
    status = f" {error.response.status_code}" if isinstance(error, httpx.HTTPStatusError) else ""
    return RecommonsError(
        "coordinator/superlink", f"the SuperLink did not answer: {type(error).__name__}{status}"
    )
