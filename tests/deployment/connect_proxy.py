"""A proxy that only opens tunnels (HTTP CONNECT), as a process: ``connect_proxy.py LOG PORT``.

It says its port, listens on loopback, and writes the first line of every request to LOG.
"""

import contextlib
import socket
import sys
import threading
from pathlib import Path

_SECONDS = 300.0


def main() -> None:
    """Serve until killed."""
    log, lock = Path(sys.argv[1]), threading.Lock()
    with socket.create_server(("127.0.0.1", int(sys.argv[2]))) as door:
        sys.stdout.write(f"{door.getsockname()[1]}\n")
        sys.stdout.flush()
        while True:
            inner, _ = door.accept()
            threading.Thread(target=_serve, args=(inner, log, lock), daemon=True).start()


def _serve(inner: socket.socket, log: Path, lock: threading.Lock) -> None:
    head = b""
    with inner:
        inner.settimeout(_SECONDS)
        while b"\r\n\r\n" not in head:
            if not (more := inner.recv(4096)):
                return
            head += more
        line = head.partition(b"\r\n")[0].decode("latin-1")
        with lock, log.open("a", encoding="utf-8") as seen:
            seen.write(line + "\n")
        method, target, _version = line.split()
        if method != "CONNECT":
            inner.sendall(b"HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n")
            return
        host, _, port = target.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=_SECONDS) as outer:
            inner.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_copy, args=(outer, inner), daemon=True)
            back.start()
            _copy(inner, outer)
            back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main()
