"""The coordinator's side of one attempt: collects, checks, passes on, opens the sum.

Five times it collects messages of sites (steps 1, 3, 5, 7 and 9) and closes the collection when
the caller's deadline says so. Whoever is missing then has dropped out; whoever sent something that
does not pass its checks is excluded under a code. Masked vectors are added as they come and not
kept.
"""

from collections.abc import Mapping
from types import MappingProxyType

from recommons.common.errors import InvalidInput, ProtocolAbort
from recommons.common.secagg import intake, merkle
from recommons.common.secagg.agreement import Agreement, agree
from recommons.common.secagg.context import Context
from recommons.common.secagg.messages import (
    Advertise,
    Certificate,
    Inbox,
    InboxEntry,
    KeyEntry,
    Keys,
    Reveal,
    Shares,
    Survivors,
)
from recommons.common.secagg.outcome import RoundResult, Step
from recommons.common.secagg.parameters import RoundParameters
from recommons.common.secagg.recovery import Recovery
from recommons.common.secagg.ring import VectorShape
from recommons.common.secagg.roster import Roster
from recommons.common.secagg.sets import SiteSet

__all__ = ["CoordinatorRound"]


class CoordinatorRound:
    """One attempt of one secure sum, as the coordinator drives it.

    ``receive`` every answer of a step, then close it: `close_advertise`, `close_shares`,
    `close_masked`, `close_signatures`, `finish`. Closing returns the sites to write to, and
    `message_for` gives what to send to each; their answers belong to the next step. Closing with
    too few answers raises `ProtocolAbort`, and the attempt is over.
    """

    def __init__(
        self,
        *,
        context: Context,
        parameters: RoundParameters,
        shape: VectorShape,
        roster: Roster,
        spec: bytes,
        workers: int = 1,
    ) -> None:
        """Starts collecting advertisements.

        Args:
            context: The attempt.
            parameters: The plan's N, c and M.
            shape: The vector's size and ring.
            roster: The roster the context names.
            spec: The vector's spec, canonical JSON, as every site expects it.
            workers: Threads for removing masks.

        Raises:
            InvalidInput: The arguments do not fit together.
        """
        if parameters.sites != len(context.cohort):
            raise InvalidInput("secagg/context", "the parameters are for another cohort's size")
        self.context = context
        self.parameters = parameters
        self.step = Step.ADVERTISE
        self._shape = shape
        self._spec = spec
        self._workers = workers
        self._public_keys = context.public_keys(roster)
        self._expected = context.everyone
        self._excluded: dict[int, str] = {}
        self._missing: dict[Step, SiteSet] = {}
        self._adverts: dict[int, Advertise] = {}
        self._known_keys: set[bytes] = set()
        self._shares: dict[int, Shares] = {}
        self._trees: dict[int, tuple[bytes, ...]] = {}
        self._sum = shape.ring.zeros(shape.size)
        self._vector_hashes: dict[int, bytes] = {}
        self._signatures: dict[int, bytes] = {}
        self._reveals: dict[int, Reveal] = {}
        self._agreement: Agreement | None = None
        self._dealers = SiteSet(len(context.cohort), 0)
        self._survivors = self._dealers
        self._broadcast = b""

    @property
    def expected(self) -> tuple[str, ...]:
        """The sites whose answers this step waits for, answered or not."""
        return self.context.names(self._expected)

    @property
    def awaiting(self) -> tuple[str, ...]:
        """Those of `expected` that have neither answered nor been excluded."""
        return self.context.names(self._absent())

    @property
    def excluded(self) -> Mapping[str, str]:
        """Sites set aside, with the code of what they sent."""
        names = self.context.cohort
        return MappingProxyType({names[i]: code for i, code in self._excluded.items()})

    def receive(self, site: str, message: bytes) -> str | None:
        """Takes one site's message for the current step.

        Args:
            site: Who sent it, as the transport authenticated it.
            message: The bytes.

        Returns:
            None where it counts; otherwise the code under which it was set aside. A site whose
            message fails a check is excluded from then on; one that merely answers twice, late
            or unasked is not.
        """
        if site not in self.context.cohort:
            return "secagg/not-in-cohort"
        place = self.context.cohort.index(site)
        if place in self._excluded:
            return self._excluded[place]
        if place not in self._expected or self.step >= Step.DONE:
            return "secagg/out-of-order"
        if place in self._answers():
            return "secagg/repeated"
        try:
            self._take(place, message)
        except ProtocolAbort as fault:
            self._excluded[place] = fault.code
            return fault.code
        return None

    def close_advertise(self, public_state: bytes) -> tuple[str, ...]:
        """Ends step 1 and fixes the keys, spec and public state of step 2."""
        members = self._close(Step.ADVERTISE, self.parameters.survivors, "secagg/too-few-sites")
        entries = tuple(
            KeyEntry(
                mask_key=self._adverts[i].mask_key,
                encryption_key=self._adverts[i].encryption_key,
                signature=self._adverts[i].signature,
            )
            for i in members
        )
        keys = Keys(
            ctx=self.context.hash,
            members=members,
            spec=self._spec,
            public_state=public_state,
            entries=entries,
        )
        self._agreement = agree(keys)
        return self._next(Step.SHARES, members, keys.to_bytes())

    def close_shares(self) -> tuple[str, ...]:
        """Ends step 3; the inboxes of step 4 are made one by one in `message_for`."""
        self._dealers = self._close(Step.SHARES, self.parameters.survivors, "secagg/too-few-sites")
        return self._next(Step.MASKED, self._dealers, b"")

    def close_masked(self) -> tuple[str, ...]:
        """Ends step 5 and names the survivors of step 6."""
        self._survivors = self._close(
            Step.MASKED, self.parameters.survivors, "secagg/too-few-sites"
        )
        message = Survivors(ctx=self.context.hash, dealers=self._dealers, survivors=self._survivors)
        return self._next(Step.SIGNATURE, self._survivors, message.to_bytes())

    def close_signatures(self, annex: bytes = b"") -> tuple[str, ...]:
        """Ends step 7 and makes the certificate of step 8.

        Args:
            annex: Opaque bytes that travel in the certificate.
        """
        signers = self._close(Step.SIGNATURE, self.parameters.quorum, "secagg/quorum")
        message = Certificate(
            ctx=self.context.hash,
            full=self._agreed.full,
            dealers=self._dealers,
            survivors=self._survivors,
            signers=signers,
            signatures=tuple(self._signatures[i] for i in signers),
            annex=annex,
        )
        return self._next(Step.REVEAL, signers, message.to_bytes())

    def finish(self) -> RoundResult:
        """Ends step 9: recovers the secrets, removes the masks and returns the sum.

        Raises:
            ProtocolAbort: Too few shares, or a dealer's fault.
        """
        self._close(Step.REVEAL, self.parameters.threshold, "secagg/too-few-shares")
        try:
            self._recovery().unmask(self._sum, self._reveals, workers=self._workers)
        except ProtocolAbort:
            self.step = Step.ABORTED
            raise
        self.step = Step.DONE
        names = self.context.cohort
        return RoundResult(
            words=self._shape.ring.reduce(self._sum),
            shape=self._shape,
            survivors=self.context.names(self._survivors),
            certificate=self._broadcast,
            vector_hashes={names[i]: found for i, found in sorted(self._vector_hashes.items())},
            excluded=dict(self.excluded),
            missing={step: self.context.names(sites) for step, sites in self._missing.items()},
        )

    def message_for(self, site: str) -> bytes:
        """What to send to one of the sites that closing the last step returned.

        Raises:
            InvalidInput: The site is not one of them.
        """
        if site not in self.expected or self.step in (Step.ADVERTISE, Step.DONE, Step.ABORTED):
            raise InvalidInput("input/argument", f"there is no message for site {site!r} now")
        if self.step is Step.MASKED:
            return self._inbox(self.context.cohort.index(site))
        return self._broadcast

    def _inbox(self, holder: int) -> bytes:
        rank = self._agreed.members.rank(holder)
        entries = tuple(
            InboxEntry(
                seed_commitment=self._shares[dealer].seed_commitment,
                commitments=self._shares[dealer].commitment_pair(rank),
                ciphertext=self._shares[dealer].ciphertext(rank),
                path=merkle.path(self._trees[dealer], rank),
                signature=self._shares[dealer].signature,
            )
            for dealer in self._dealers.without(holder)
        )
        return Inbox(
            ctx=self.context.hash,
            site=holder,
            dealers=self._dealers,
            levels=merkle.depth(len(self._agreed.members)),
            entries=entries,
        ).to_bytes()

    def _take(self, place: int, data: bytes) -> None:
        ctx, public_key = self.context.hash, self._public_keys[place]
        if self.step is Step.ADVERTISE:
            advert = intake.advertise(data, ctx=ctx, place=place, public_key=public_key)
            intake.fresh_keys(advert, self._known_keys)
            self._known_keys |= {advert.mask_key, advert.encryption_key}
            self._adverts[place] = advert
            return
        agreement = self._agreed
        if self.step is Step.SHARES:
            message, levels = intake.shares(
                data, ctx=ctx, place=place, public_key=public_key, agreement=agreement
            )
            self._shares[place], self._trees[place] = message, levels
            return
        sender = intake.Sender(
            ctx=ctx, place=place, public_key=public_key, full=agreement.full, dealers=self._dealers
        )
        if self.step is Step.MASKED:
            words, hashed = intake.masked_vector(data, sender, self._shape)
            self._sum += words
            self._vector_hashes[place] = hashed
        elif self.step is Step.SIGNATURE:
            self._signatures[place] = intake.signature(data, sender, self._survivors).signature
        else:
            reveal = intake.reveal(data, sender, self._survivors)
            self._recovery().check(reveal)
            self._reveals[place] = reveal

    def _answers(self) -> Mapping[int, object]:
        """What this step has collected, by place."""
        collected: Mapping[Step, Mapping[int, object]] = {
            Step.ADVERTISE: self._adverts,
            Step.SHARES: self._shares,
            Step.MASKED: self._vector_hashes,
            Step.SIGNATURE: self._signatures,
            Step.REVEAL: self._reveals,
        }
        return collected[self.step]

    def _absent(self) -> SiteSet:
        if self.step >= Step.DONE:
            return SiteSet(self._expected.size, 0)
        here = {*self._answers(), *self._excluded}
        return SiteSet.of(self._expected.size, (i for i in self._expected if i not in here))

    def _close(self, step: Step, needed: int, code: str) -> SiteSet:
        if self.step is not step:
            raise InvalidInput(
                "input/argument", f"the round is at step {self.step.name}, not {step.name}"
            )
        arrived = SiteSet.of(self._expected.size, self._answers())
        self._missing[step] = self._absent()
        if len(arrived) < needed:
            self.step = Step.ABORTED
            raise ProtocolAbort(
                code,
                f"{len(arrived)} sites completed step {step.value} ({step.name.lower()}); "
                f"required: {needed}",
            )
        return arrived

    def _next(self, step: Step, expected: SiteSet, broadcast: bytes) -> tuple[str, ...]:
        self.step, self._expected, self._broadcast = step, expected, broadcast
        return self.expected

    def _recovery(self) -> Recovery:
        return Recovery(
            context=self.context,
            agreement=self._agreed,
            threshold=self.parameters.threshold,
            shares=self._shares,
            dealers=self._dealers,
            survivors=self._survivors,
        )

    @property
    def _agreed(self) -> Agreement:
        if self._agreement is None:
            raise InvalidInput("input/argument", "step 1 is not closed")
        return self._agreement
