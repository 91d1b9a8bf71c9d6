"""How the enrolment desk judges a call: who may learn what, and what an application may claim.

| a call that | is answered |
|---|---|
| names no invitation, a withdrawn one, or proves nothing | `enrolment/unknown`, all alike |
| comes by an open invitation after its time | `enrolment/expired` |
| comes by a used one with other keys | `enrolment/token-used` |
| asks for another name, or another federation | `enrolment/other-site` |
| asks for the name of a member with another key | `enrolment/name-taken` |
| shows a key that another site has or asks for | `enrolment/key-taken` |

Repeating an application is harmless: it is told where it stands. So a site that was killed between
any two steps sends again what it has kept.
"""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from recommons.common.enrolment import Application, Offer, Standing, open_call
from recommons.common.errors import InvalidInput, RecommonsError, Refusal
from recommons.common.invitation import InvitationKeys
from recommons.common.policy_file import policy_from_toml
from recommons.server.certificates.authority import key_fingerprint, requested_key
from recommons.server.federation.book import Book, Invited
from recommons.server.federation.founding import POLICY
from recommons.server.federation.office import roster_sites
from recommons.server.federation.sealed_key import read_public_key
from recommons.server.records.home import CoordinatorHome

__all__ = ["Reception"]

_UNKNOWN = Refusal("enrolment/unknown", "no such invitation, or no proof of it")


@dataclass(frozen=True)
class Reception:
    """Answers for one federation."""

    home: CoordinatorHome
    book: Book

    def offer(self, call: bytes, *, now: int) -> bytes:
        """What an invited site may know before it consents.

        Raises:
            RecommonsError: With the code that the caller is told.
        """
        name, proof, body = open_call(call)
        with self.book.act() as act:
            invited = self._known(act, name, proof, "offer", body)
            if invited.state == "open" and now >= invited.expires:
                raise Refusal("enrolment/expired", "the invitation's time is over")
            epoch = self.book.epoch(act)
        return Offer(
            federation_key=read_public_key(self.home.folder),
            address=self.home.settings.gateway,
            policy=_proposal(self.home.folder),
            time=now,
            epoch=epoch,
        ).to_bytes()

    def apply(self, call: bytes, *, now: int) -> bytes:
        """Take an application, or say where it stands.

        Raises:
            RecommonsError: With the code that the caller is told.
        """
        name, proof, body = open_call(call)
        with self.book.act() as act:
            invited = self._known(act, name, proof, "apply", body)
            application = Application.from_bytes(body)
            node_key = key_fingerprint(requested_key(application.node_request.encode()))
            if (application.federation, application.entry.site) != (
                self.home.settings.federation,
                invited.site,
            ):
                raise Refusal("enrolment/other-site", "the invitation is for another site")
            if invited.state == "open":
                self._take(act, invited, application, node_key, now)
                return Standing(state="waiting").to_bytes()
            if (invited.public_key, invited.node_key) != (application.entry.public_key, node_key):
                raise Refusal("enrolment/token-used", "the invitation was used with other keys")
            return self._standing(act, invited).to_bytes()

    def _known(
        self, act: Connection, name: bytes, proof: bytes, purpose: str, body: bytes
    ) -> Invited:
        invited = self.book.invited(act, name)
        keys = InvitationKeys(name=name, mac=b"\0" * 32 if invited is None else invited.mac)
        proven = keys.holds(proof, purpose, body)
        if invited is None or not proven or invited.state == "withdrawn":
            raise _UNKNOWN
        return invited

    def _take(
        self,
        act: Connection,
        invited: Invited,
        application: Application,
        node_key: str,
        now: int,
    ) -> None:
        if now >= invited.expires:
            raise Refusal("enrolment/expired", "the invitation's time is over")
        entry = application.entry
        members = roster_sites(self.book.epoch(act))
        present = members.get(entry.site)
        if present is not None and present.public_key != entry.public_key:
            raise Refusal("enrolment/name-taken", "a member of this name has another key")
        waiting = self.book.in_state(act, "waiting")
        if any(asked.site == entry.site for asked in waiting):
            raise Refusal("enrolment/name-taken", "another request under this name waits")
        signing = {member.public_key for site, member in members.items() if site != entry.site}
        signing |= {asked.public_key for asked in waiting if asked.public_key is not None}
        nodes = {
            admission.node_key
            for site, admission in self.book.admissions(act).items()
            if site != entry.site or admission.turned_away
        } | {asked.node_key for asked in waiting}
        if entry.public_key in signing or node_key in nodes:
            raise Refusal("enrolment/key-taken", "another site has one of these keys")
        self.book.ask(
            act,
            invited.name,
            public_key=entry.public_key,
            node_key=node_key,
            application=application.to_bytes(),
            now=now,
        )

    def _standing(self, act: Connection, invited: Invited) -> Standing:
        if invited.state != "approved":
            return Standing(state="rejected" if invited.state == "rejected" else "waiting")
        epoch, admission = self.book.epoch(act), self.book.admissions(act).get(invited.site)
        member = roster_sites(epoch).get(invited.site)
        if (
            admission is None
            or admission.turned_away
            or member is None
            or member.public_key != invited.public_key
        ):
            raise _UNKNOWN  # a member no more
        return Standing(state="approved", epoch=epoch, certificate=admission.pem.decode())


def _proposal(folder: Path) -> str:
    """The policy proposed to sites.

    Raises:
        InvalidInput: ``federation/policy``.
    """
    try:
        data = (folder / POLICY).read_bytes()
        policy_from_toml(data)
    except (OSError, RecommonsError) as error:
        raise InvalidInput("federation/policy", f"{POLICY} cannot be proposed: {error}") from error
    return data.decode()
