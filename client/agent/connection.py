"""`connection.toml` in a site's folder: where the coordinator is, and how often to ask it."""

from pathlib import Path
from typing import Annotated

import httpx
from pydantic import BaseModel, ConfigDict, Field

from recommons.client.agent.credentials import tls_context
from recommons.client.site import SiteConfig
from recommons.common.durably import write_durably
from recommons.common.toml_file import read_settings

__all__ = ["CONNECTION", "Connection", "connection_of", "gateway_client", "gateway_client_async"]

CONNECTION = "connection.toml"
_Seconds = Annotated[float, Field(gt=0, le=3600)]


class Connection(BaseModel):
    """`connection.toml`.

    Attributes:
        version: Of the file.
        address: ``host:port`` of the coordinator's gateway.
        shortest_poll_seconds: Pause between polls while a round is going on.
        longest_poll_seconds: Pause between polls while nothing happens.
        call_seconds: How long to wait for one answer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Annotated[int, Field(ge=1, le=1)] = 1
    address: Annotated[str, Field(pattern=r"^[^\s/@?#]+:[0-9]{1,5}$")]
    shortest_poll_seconds: _Seconds = 0.05
    longest_poll_seconds: _Seconds = 1.0
    call_seconds: _Seconds = 60.0

    @classmethod
    def read(cls, folder: Path) -> "Connection":
        """Read a site's.

        Raises:
            InvalidInput: ``agent/connection``.
        """
        return read_settings(folder / CONNECTION, cls, "agent/connection")

    def write(self, folder: Path) -> None:
        """Write it into a site's folder."""
        lines = [f"version = {self.version}", f'address = "{self.address}"']
        write_durably(folder / CONNECTION, ("\n".join(lines) + "\n").encode())


def connection_of(folder: Path) -> Connection:
    """A joined site's connection; a folder that is no site's at all is called that.

    Raises:
        InvalidInput: ``site/folder`` or ``agent/connection``.
    """
    if not (folder / CONNECTION).exists():
        SiteConfig.read(folder)
    return Connection.read(folder)


def gateway_client(folder: Path) -> httpx.Client:
    """A line to the coordinator's gateway, under the site's certificate; a context manager.

    Raises:
        InvalidInput: ``site/folder``, ``agent/connection`` or ``agent/credentials``: the folder is
            not that of a joined site.
    """
    connection = connection_of(folder)
    return httpx.Client(
        base_url=f"https://{connection.address}",
        verify=tls_context(folder),
        timeout=connection.call_seconds,
    )


def gateway_client_async(folder: Path) -> httpx.AsyncClient:
    """As `gateway_client`, for a call that must be over at a certain time whatever comes.

    Raises:
        InvalidInput: As `gateway_client`.
    """
    connection = connection_of(folder)
    return httpx.AsyncClient(
        base_url=f"https://{connection.address}",
        verify=tls_context(folder),
        timeout=connection.call_seconds,
    )
