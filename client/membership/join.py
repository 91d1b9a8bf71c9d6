"""The steps of joining, in order. Each can be repeated, and is shown before it is done.

1. The desk's offer is fetched and checked against the invitation. Nothing was written or told yet.
2. The operator consents to it, and to the policy.
3. Keys are drawn in the folder; an application, signed by both, is durable there and then sent.
4. The federation's operator approves it.
5. The operator of the site looks at the roster; it is pinned, and the site is joined.
"""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from recommons.client.membership.desk_line import DeskLine
from recommons.client.membership.folder import JoiningFolder
from recommons.client.records.acceptance import note_acceptance
from recommons.client.records.database import DATABASE
from recommons.client.records.store import SiteStore
from recommons.client.site import Site, SiteConfig
from recommons.common.enrolment import Application, Offer, Standing
from recommons.common.epochs import Epoch, first_pin
from recommons.common.errors import InvalidInput, RecommonsError, Refusal
from recommons.common.federation import Federation
from recommons.common.peers import fingerprint
from recommons.common.policy import Policy
from recommons.common.policy_file import policy_from_toml

__all__ = ["Joining", "await_decision", "finish", "proposed_policy"]

_POLL_SECONDS = 2.0
_BUSY = frozenset({"enrolment/too-many-calls", "enrolment/unreachable"})


@dataclass(frozen=True)
class Joining:
    """A join under way.

    Attributes:
        line: To the desk.
        folder: The site's.
        offer: What is offered.
    """

    line: DeskLine
    folder: JoiningFolder
    offer: Offer

    def enrol(
        self, policy: bytes, config: SiteConfig, *, new_node_key: bool
    ) -> tuple[Application, Standing]:
        """Draw what is missing, write everything down, and apply.

        Raises:
            Refusal: With the desk's code.
        """
        self.folder.prepare(
            policy=policy,
            config=config,
            authority=self.line.authority,
            address=self.offer.address,
        )
        application = self.folder.application(new_node_key=new_node_key)
        return application, self.line.apply(application)


def proposed_policy(joining: Joining, own: Path | None) -> tuple[bytes, Policy, str]:
    """The policy that will be in force, and whose it is.

    Args:
        joining: The join.
        own: A policy file that the operator names.

    Returns:
        The file, the policy it holds, and where it comes from.

    Raises:
        InvalidInput: ``policy/invalid``; ``enrolment/folder``: the folder holds another policy than
            the one named, and would keep it.
    """
    present = joining.folder.policy()
    if own is not None:
        data, source = own.read_bytes(), str(own)
        if present not in (None, data):
            raise InvalidInput("enrolment/folder", f"the folder has another policy than {own}")
    elif present is not None:
        data, source = present, "this folder's policy.toml"
    else:
        data, source = joining.offer.policy.encode(), "the federation's proposal"
    policy = policy_from_toml(data)
    if own is None and present is None and policy.peers.verified:
        # Only the site's own operator can have compared keys; a proposal could name invented peers.
        raise InvalidInput("policy/invalid", "the federation's proposal names verified peers")
    return data, policy, source


def await_decision(
    line: DeskLine,
    application: Application,
    standing: Standing,
    *,
    seconds: float | None,
    pause: Callable[[float], None] = time.sleep,
) -> Standing:
    """Ask again until the operator has decided; an absent desk is waited for as well.

    Args:
        line: To the desk.
        application: What was sent.
        standing: Where it stood last.
        seconds: How long to wait at most; None for as long as it takes.
        pause: Waits.

    Raises:
        Refusal: ``enrolment/waiting``: the time is over; or the desk's code.
    """
    end = None if seconds is None else time.monotonic() + seconds
    while standing.state == "waiting":
        if end is not None and time.monotonic() >= end:
            raise Refusal("enrolment/waiting", "the request waits for the federation's operator")
        pause(_POLL_SECONDS)
        try:
            standing = line.apply(application)
        except RecommonsError as error:
            if error.code not in _BUSY:
                raise
    return standing


def finish(joining: Joining, standing: Standing, accepts: Callable[[Epoch], bool]) -> Federation:
    """Keep certificate and roster; when this returns, the site is joined.

    Args:
        joining: The join.
        standing: An approval.
        accepts: The operator's word on the roster; not asked where a roster is pinned already.

    Raises:
        Refusal: ``enrolment/rejected``, ``enrolment/certificate``, ``enrolment/declined``,
            ``roster/signature`` or ``roster/own-entry``.
    """
    if standing.epoch is None or standing.certificate is None:
        raise Refusal("enrolment/rejected", "the federation's operator has turned the request down")
    folder, invitation = joining.folder, joining.folder.invitation
    pinned = folder.pinned()
    if pinned is None:
        pinned = first_pin(
            standing.epoch,
            joining.offer.federation_key,
            invitation.site,
            folder.identity().public_key,
        )
        if pinned.roster.federation != invitation.federation:
            raise Refusal("roster/epoch", "the roster is of another federation")
        if not accepts(standing.epoch):
            raise Refusal("enrolment/declined", "the roster was not accepted")
    elif fingerprint(pinned.federation_key) != invitation.federation_key:
        raise Refusal("enrolment/federation-key", "this site has pinned another federation's key")
    folder.receive(standing.certificate)
    if folder.pinned() is None:
        with closing(SiteStore(folder.path / DATABASE)) as store:
            note_acceptance(store, None, pinned, standing.epoch, by_hand=True)
    folder.pin(pinned)
    Site.open(folder.path).store.close()  # which writes roster and policy into the ledger
    return pinned
