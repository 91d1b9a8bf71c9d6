"""Certificates that are over, or another authority's: named, and nobody else is held up."""

import os
import signal
from datetime import UTC, datetime, timedelta

import pytest

from recommons.client.agent.credentials import read_node_key, signing_request
from recommons.server.certificates.authority import Authority
from recommons.simulations.loopback import wait_until
from tests.deployment.conftest import Deployment
from tests.deployment.faults import (
    check_everybody,
    check_sums,
    end,
    started,
    survivors,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"),  # flwr's own
]

SITE = "site-03"
LONG_AGO = datetime.now(UTC) - timedelta(days=3000)


@pytest.fixture
def deployment(five: Deployment) -> Deployment:
    return five


def stranger(deployment: Deployment) -> Authority:
    """Another authority that calls itself by the federation's name."""
    return Authority.create(deployment.home.settings.federation, now=datetime.now(UTC))


def issued(deployment: Deployment, authority: Authority, now: datetime) -> bytes:
    """A certificate over the site's own node key."""
    request = signing_request(read_node_key(deployment.site(SITE)), SITE)
    return authority.issue_site(deployment.home.settings.federation, SITE, request, now=now)


@pytest.mark.parametrize("fault", ["expired", "foreign"])
def test_a_site_with_a_bad_certificate_is_kept_out_by_name_and_the_others_finish(
    deployment: Deployment, fault: str
) -> None:
    own = deployment.site(SITE) / "node.pem"
    good = own.read_bytes()
    if fault == "expired":
        own.write_bytes(issued(deployment, deployment.home.authority, LONG_AGO))
    else:
        own.write_bytes(issued(deployment, stranger(deployment), datetime.now(UTC)))
    told = deployment.log(SITE).count('"agent/tls"')
    end(deployment.agents[SITE])
    deployment.start_agent(SITE)
    wait_until(lambda: deployment.log(SITE).count('"agent/tls"') > told)
    others = frozenset(deployment.cohort) - {SITE}
    with started(deployment, here=others) as name:
        pass
    assert set(survivors(deployment, name)) == others
    check_sums(deployment, name, away=SITE)
    own.write_bytes(good)  # its agent takes that up by itself
    check_everybody(deployment)


def test_a_gateways_certificate_that_is_over_is_renewed_by_itself(deployment: Deployment) -> None:
    home = deployment.home
    made = home.authority.issue_server(home.settings.names, now=LONG_AGO)
    over = made.certificate + made.key
    (home.folder / "gateway.pem").write_bytes(over)
    os.kill(deployment.pid("gateway"), signal.SIGKILL)
    wait_until(lambda: (home.folder / "gateway.pem").read_bytes() != over)
    check_everybody(deployment)


def test_no_site_believes_a_gateway_of_another_authority_and_the_right_one_is_enough(
    deployment: Deployment,
) -> None:
    home = deployment.home
    good = (home.folder / "gateway.pem").read_bytes()
    told = {site: deployment.log(site).count('"agent/tls"') for site in deployment.cohort}
    made = stranger(deployment).issue_server(home.settings.names, now=datetime.now(UTC))
    (home.folder / "gateway.pem").write_bytes(made.certificate + made.key)
    os.kill(deployment.pid("gateway"), signal.SIGKILL)
    for site, before in told.items():
        wait_until(lambda: deployment.log(site).count('"agent/tls"') > before)  # noqa: B023 - called here
    wait_until(lambda: not deployment.online())
    status, refused = deployment.say("run", str(deployment.write_plan()))
    assert (status, refused["error"]["code"]) == (1, "run/sites")
    replacement = home.folder / "gateway.new"
    replacement.write_bytes(good)
    replacement.replace(home.folder / "gateway.pem")
    check_everybody(deployment)
