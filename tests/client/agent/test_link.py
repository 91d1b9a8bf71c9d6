"""What goes wrong on the line is named."""

import ssl

import httpx
import pytest

from recommons.client.agent.link import LinkError, named
from recommons.simulations.loopback import free_port


def test_who_gives_no_answer_is_told_with_host_and_port() -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(LinkError) as failed:
        named(lambda: httpx.get(f"http://{address}/secret?token=zebra"))
    assert failed.value.code == "agent/unreachable"
    assert failed.value.message == f"no answer from {address}: ConnectError"


def test_a_tls_fault_that_comes_bare_is_one_too() -> None:
    def reads() -> None:
        raise ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED]")

    with pytest.raises(LinkError) as failed:
        named(reads)
    assert failed.value.code == "agent/tls"
