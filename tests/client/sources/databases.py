"""A real PostgreSQL server on loopback, for as long as a test session lasts."""

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

__all__ = ["PASSWORD", "Server", "postgresql_server"]

PASSWORD = "zebra%7741:/@"  # noqa: S105 - of a server that lives for seconds; signs that URLs quote
_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/local/pgsql/bin", "/usr/pgsql-*/bin")


@dataclass(eq=False)
class Server:
    """A running server with an empty database ``shop`` of a user ``reader``.

    Attributes:
        port: On loopback.
        launch: Starts its process.
        process: It.
    """

    port: int
    launch: Callable[[], "subprocess.Popen[bytes]"]
    process: "subprocess.Popen[bytes]"

    @property
    def url(self) -> str:
        """Without the password."""
        return f"postgresql+psycopg://reader@127.0.0.1:{self.port}/shop"

    def connect(self) -> "psycopg.Connection[Any]":
        """A connection with the password, for tests to fill tables."""
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="reader", password=PASSWORD, dbname="shop"
        )

    def kill(self) -> None:
        """SIGKILL of the server itself, as the kernel does where memory is short."""
        self.process.kill()
        self.process.wait()

    def start(self) -> None:
        """Start it again over what it had written, once its orphans are gone."""
        for _ in range(300):
            if self.process.poll() is not None:
                self.process = self.launch()
            with suppress(psycopg.OperationalError), self.connect():
                return
            time.sleep(0.1)
        raise AssertionError("PostgreSQL did not start again")


@contextmanager
def postgresql_server() -> Iterator[Server]:
    """Start a server; skips the test where PostgreSQL is not installed."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("PostgreSQL's server is not installed")
    # Not pytest's own folder: that is closed to the account that PostgreSQL insists on.
    folder = Path(tempfile.mkdtemp(prefix="recommons-postgresql-"))
    user = _account()
    given: dict[str, Any] = {} if user is None else {"user": user}
    if user is not None:
        shutil.chown(folder, user)
    try:
        secret = folder / "secret"
        secret.write_text(PASSWORD + "\n")
        if user is not None:
            shutil.chown(secret, user)
        made = ["-D", str(folder / "data"), "-U", "reader", "-A", "scram-sha-256"]
        made += ["--pwfile", str(secret)]
        subprocess.run(
            [binaries / "initdb", *made, "-E", "UTF8", "--locale", "C", "--no-sync"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=folder,
            **given,
        )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]

        def launch() -> "subprocess.Popen[bytes]":
            return subprocess.Popen(
                [binaries / "postgres", "-D", folder / "data", "-p", str(port), *options, "-F"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=folder,
                **given,
            )

        server = Server(port, launch, launch())
        try:
            _make_database(port)
            yield server
        finally:
            server.process.terminate()
            server.process.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path | None:
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    for pattern in _PLACES:
        for folder in sorted(Path("/").glob(pattern.lstrip("/")), reverse=True):
            if (folder / "initdb").exists():
                return folder
    return None


def _account() -> str | None:
    """PostgreSQL refuses to run as root: then its own account, or nobody's."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with_name = subprocess.run(["id", "-u", name], capture_output=True, check=False)
        if with_name.returncode == 0:
            return name
    return getpass.getuser()


def _make_database(port: int) -> None:
    for _ in range(300):
        try:
            with psycopg.connect(
                host="127.0.0.1",
                port=port,
                user="reader",
                password=PASSWORD,
                dbname="postgres",
                autocommit=True,
            ) as connection:
                connection.execute("CREATE DATABASE shop")
                return
        except psycopg.OperationalError:
            time.sleep(0.1)
    raise AssertionError("PostgreSQL did not start")
