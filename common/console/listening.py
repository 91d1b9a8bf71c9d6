"""Where a console listens, and the first password. What is checked here fails closed."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recommons.common.console.guard import is_loopback
from recommons.common.console.passwords import (
    PASSWORD_ENTROPY_BYTES,
    PasswordRecord,
    password_from,
)
from recommons.common.errors import InvalidInput

__all__ = ["PASSWORD_FILE", "Listening", "greeting", "open_password"]

PASSWORD_FILE = "console.json"  # noqa: S105 - a file's name

_SALT_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class Listening:
    """Where a console listens.

    Attributes:
        host: Address; beyond loopback only with TLS.
        port: Port.
        names: Names, besides those of loopback, by which browsers reach it.
        certificate: PEM, with the chain; None for no TLS.
        key: PEM; None for no TLS.

    Raises:
        InvalidInput: ``console/tls``: one of certificate and key, or neither beyond loopback.
    """

    host: str
    port: int
    names: tuple[str, ...] = ()
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise InvalidInput("console/tls", "a certificate and its key are given together")
        if self.certificate is None and not is_loopback(self.host):
            raise InvalidInput(
                "console/tls", f"listen is {self.host!r} without TLS; required: 127.0.0.1 or TLS"
            )

    @property
    def secure(self) -> bool:
        """Whether it is reached by TLS alone."""
        return self.certificate is not None

    @property
    def address(self) -> str:
        """What to open in a browser."""
        host = self.names[0] if self.names else self.host
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if self.secure else 'http'}://{shown}:{self.port}/"

    def server_settings(self) -> dict[str, Any]:
        """Settings of uvicorn's: quiet, small, and believing no proxy."""
        return {
            "ssl_certfile": None if self.certificate is None else str(self.certificate),
            "ssl_keyfile": None if self.key is None else str(self.key),
            "ws": "none",
            "lifespan": "off",
            "limit_concurrency": 64,
            "timeout_keep_alive": 10,
            "timeout_graceful_shutdown": 2,
            "server_header": False,
            "date_header": False,
            "access_log": False,
            "proxy_headers": False,
            "log_config": None,
        }


def open_password(
    path: Path, *, renew: bool, draw: Callable[[int], bytes]
) -> tuple[PasswordRecord, str | None]:
    """The kept password, or a new one where there is none or it is to be renewed.

    Args:
        path: `PASSWORD_FILE` in the role's folder.
        renew: Replace what is kept.
        draw: So many bytes from the operating system's generator.

    Returns:
        (record, password): the password only where it is new; show it once and let go of it.

    Raises:
        InvalidInput: ``console/password``: the file is there and is not a kept password. It is
            never replaced unasked.
    """
    if path.exists() and not renew:
        return PasswordRecord.from_bytes(path.read_bytes()), None
    password = password_from(draw(PASSWORD_ENTROPY_BYTES))
    record = PasswordRecord.make(password, draw(_SALT_BYTES))
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(record.to_bytes())
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    return record, password


def greeting(listening: Listening, password: str | None) -> str:
    """What the operator reads when the console is up."""
    lines = [f"Console: {listening.address}"]
    if password is not None:
        lines.append(f"Password: {password}   (shown this once; only its hash is kept)")
    lines.append("Ctrl-C ends it.")
    return "\n".join(lines)
