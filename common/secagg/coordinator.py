"""The coordinator's side of one attempt: collects, checks, passes on, opens the sum.

Five times it collects messages of sites (steps 1, 3, 5, 7 and 9) and closes the collection when
the caller's deadline says so. Whoever is missing then has dropped out; whoever sent something that
does not pass its checks is excluded under a code. Masked vectors are added as they come and not
kept.
"""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

from recommons.common.errors import InvalidInput, ProtocolAbort
from recommons.common.secagg import intake, outbox
from recommons.common.secagg.agreement import Agreement, agree
from recommons.common.secagg.collection import Collection
from recommons.common.secagg.context import Context
from recommons.common.secagg.envelope import HASH_BYTES
from recommons.common.secagg.expansion import Expander, in_threads
from recommons.common.secagg.messages import Survivors, message_context
from recommons.common.secagg.outcome import RoundResult, Step
from recommons.common.secagg.parameters import RoundParameters
from recommons.common.secagg.recovery import Recovery
from recommons.common.secagg.ring import VectorShape
from recommons.common.secagg.roster import Roster
from recommons.common.secagg.sets import SiteSet
from recommons.common.secagg.wire import Reader, u8

__all__ = ["CoordinatorRound"]

_STATE_VERSION = 1


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
        expander: Expander = in_threads,
    ) -> None:
        """Starts collecting advertisements.

        Args:
            context: The attempt.
            parameters: The plan's N, c and M.
            shape: The vector's size and ring.
            roster: The roster the context names.
            spec: The vector's spec, canonical JSON, as every site expects it.
            expander: Removes the masks at the end.

        Raises:
            InvalidInput: The arguments do not fit together.
        """
        if parameters.sites != len(context.cohort):
            raise InvalidInput("secagg/context", "the parameters are for another cohort's size")
        self.context = context
        self.parameters = parameters
        self._shape = shape
        self._spec = spec
        self._expander = expander
        self._public_keys = context.public_keys(roster)
        self._places = {site: place for place, site in enumerate(context.cohort)}
        self._collected = Collection.empty(context.everyone, shape)

    @property
    def step(self) -> Step:
        """What is being collected, or how the attempt ended."""
        return self._collected.step

    @property
    def expected(self) -> tuple[str, ...]:
        """The sites whose answers this step waits for, answered or not."""
        return self.context.names(self._collected.expected)

    @property
    def awaiting(self) -> tuple[str, ...]:
        """Those of `expected` that have neither answered nor been excluded."""
        return self.context.names(self._collected.absent())

    @property
    def excluded(self) -> Mapping[str, str]:
        """Sites set aside, with the code of what they sent."""
        codes = self._collected.excluded
        return MappingProxyType({self.context.cohort[i]: codes[i] for i in sorted(codes)})

    @property
    def vector_hashes(self) -> Mapping[str, bytes]:
        """The hash of each masked vector that was added, by site."""
        hashes = self._collected.vector_hashes
        return MappingProxyType({self.context.cohort[i]: hashes[i] for i in sorted(hashes)})

    def receive(self, site: str, message: bytes) -> str | None:
        """Takes one site's message for the current step.

        Args:
            site: Who sent it, as the transport authenticated it.
            message: The bytes.

        Returns:
            None where it counts; otherwise the code under which it was set aside. A site whose
            message fails a check is excluded from then on; one whose message merely comes twice,
            late or unasked, from an earlier step or another attempt, is not.
        """
        place, collected = self._places.get(site), self._collected
        if place is None:
            return "secagg/not-in-cohort"
        if place in collected.excluded:
            return collected.excluded[place]
        if place not in collected.expected or self.step in (Step.DONE, Step.ABORTED):
            return "secagg/out-of-order"
        if place in collected.answers():
            return "secagg/repeated"
        try:
            kind, ctx = message_context(message)
            if ctx != self.context.hash:
                return "secagg/other-context"
            if kind.value != self.step.value:
                return "secagg/out-of-order"
            self._take(place, message)
        except ProtocolAbort as fault:
            collected.excluded[place] = fault.code
            return fault.code
        return None

    def close_advertise(self, public_state: bytes) -> tuple[str, ...]:
        """Ends step 1 and fixes the keys, spec and public state of step 2."""
        members = self._close(Step.ADVERTISE, self.parameters.survivors, "secagg/too-few-sites")
        message = outbox.keys(
            self.context.hash,
            members,
            self._collected.adverts,
            spec=self._spec,
            public_state=public_state,
        )
        self._collected.agreement = agree(message)
        return self._open(Step.SHARES, members, message.to_bytes())

    def close_shares(self) -> tuple[str, ...]:
        """Ends step 3; the inboxes of step 4 are made one by one in `message_for`."""
        dealers = self._close(Step.SHARES, self.parameters.survivors, "secagg/too-few-sites")
        self._collected.dealers = dealers
        return self._open(Step.MASKED, dealers, b"")

    def close_masked(self) -> tuple[str, ...]:
        """Ends step 5 and names the survivors of step 6."""
        survivors = self._close(Step.MASKED, self.parameters.survivors, "secagg/too-few-sites")
        self._collected.survivors = survivors
        message = Survivors(
            ctx=self.context.hash, dealers=self._collected.dealers, survivors=survivors
        )
        return self._open(Step.SIGNATURE, survivors, message.to_bytes())

    def close_signatures(self) -> tuple[str, ...]:
        """Ends step 7 and makes the certificate of step 8."""
        signers = self._close(Step.SIGNATURE, self.parameters.quorum, "secagg/quorum")
        message = outbox.certificate(
            self.context.hash, self._agreement.full, self._collected, signers
        )
        return self._open(Step.REVEAL, signers, message.to_bytes())

    def finish(self) -> RoundResult:
        """Ends step 9: recovers the secrets, removes the masks and returns the sum.

        Raises:
            ProtocolAbort: Too few shares, or a dealer's fault.
        """
        self._close(Step.REVEAL, self.parameters.threshold, "secagg/too-few-shares")
        collected, words = self._collected, self._collected.total.copy()
        try:
            self._expander(words, self._recovery().expansion(collected.reveals))
        except ProtocolAbort:
            collected.step = Step.ABORTED
            raise
        collected.step = Step.DONE
        return RoundResult(
            words=self._shape.ring.reduce(words),
            shape=self._shape,
            survivors=self.context.names(collected.survivors),
            certificate=collected.broadcast,
            vector_hashes=self.vector_hashes,
            excluded=dict(self.excluded),
            missing={step: self.context.names(who) for step, who in collected.missing.items()},
        )

    def message_for(self, site: str) -> bytes:
        """What to send to one of the sites that closing the last step returned.

        Raises:
            InvalidInput: The site is not one of them.
        """
        place, collected = self._places.get(site, -1), self._collected
        if place not in collected.expected or self.step in (
            Step.ADVERTISE,
            Step.DONE,
            Step.ABORTED,
        ):
            raise InvalidInput("input/argument", f"there is no message for site {site!r} now")
        if self.step is Step.MASKED:
            members = self._agreement.members
            return outbox.inbox(self.context.hash, collected, members, place).to_bytes()
        return collected.broadcast

    def to_bytes(self) -> bytes:
        """What was collected, for durable storage; the rest is passed to `from_bytes` again."""
        body = u8(_STATE_VERSION) + self.context.hash + self._collected.to_bytes()
        return body + hashlib.sha256(body).digest()

    @classmethod
    def from_bytes(
        cls,
        data: bytes,
        *,
        context: Context,
        parameters: RoundParameters,
        shape: VectorShape,
        roster: Roster,
        spec: bytes,
        expander: Expander = in_threads,
    ) -> "CoordinatorRound":
        """Resumes from `to_bytes`.

        Raises:
            InvalidInput: Not such bytes, or another attempt's (``secagg/state``).
        """
        body, checksum = data[:-HASH_BYTES], data[-HASH_BYTES:]
        if hashlib.sha256(body).digest() != checksum:
            raise InvalidInput("secagg/state", "the stored round is damaged")
        resumed = cls(
            context=context,
            parameters=parameters,
            shape=shape,
            roster=roster,
            spec=spec,
            expander=expander,
        )
        reader = Reader(body, "stored round")
        if reader.u8() != _STATE_VERSION or reader.take(HASH_BYTES) != context.hash:
            raise InvalidInput("secagg/state", "the stored round is of another version or attempt")
        try:
            resumed._collected = Collection.read(reader, shape)
            reader.end()
        except (ProtocolAbort, ValueError) as error:
            raise InvalidInput("secagg/state", "the stored round is not readable") from error
        return resumed

    def _take(self, place: int, data: bytes) -> None:
        collected, ctx = self._collected, self.context.hash
        public_key = self._public_keys[place]
        if self.step is Step.ADVERTISE:
            advert = intake.advertise(data, ctx=ctx, place=place, public_key=public_key)
            collected.keys |= intake.check_fresh(advert, collected.keys)
            collected.adverts[place] = advert
            return
        agreement = self._agreement
        if self.step is Step.SHARES:
            collected.shares[place], collected.trees[place] = intake.shares(
                data, ctx=ctx, place=place, public_key=public_key, agreement=agreement
            )
            return
        sender = intake.Sender(
            ctx=ctx,
            place=place,
            public_key=public_key,
            full=agreement.full,
            dealers=collected.dealers,
        )
        if self.step is Step.MASKED:
            words, hashed = intake.masked_vector(data, sender, self._shape)
            collected.total += words
            collected.vector_hashes[place] = hashed
        elif self.step is Step.SIGNATURE:
            signed = intake.signature(data, sender, collected.survivors)
            collected.signatures[place] = signed.signature
        else:
            reveal = intake.reveal(data, sender, collected.survivors)
            self._recovery().check(reveal)
            collected.reveals[place] = reveal

    def _close(self, step: Step, needed: int, code: str) -> SiteSet:
        collected = self._collected
        if self.step is not step:
            raise InvalidInput(
                "input/argument", f"the round is at step {self.step.name}, not {step.name}"
            )
        arrived = SiteSet.of(collected.expected.size, collected.answers())
        collected.missing[step] = collected.absent()
        if len(arrived) < needed:
            collected.step = Step.ABORTED
            raise ProtocolAbort(
                code,
                f"{len(arrived)} sites completed step {step.value} ({step.name.lower()}); "
                f"required: {needed}",
            )
        return arrived

    def _open(self, step: Step, expected: SiteSet, broadcast: bytes) -> tuple[str, ...]:
        collected = self._collected
        collected.step, collected.expected, collected.broadcast = step, expected, broadcast
        return self.expected

    def _recovery(self) -> Recovery:
        return Recovery(
            context=self.context,
            agreement=self._agreement,
            threshold=self.parameters.threshold,
            shares=self._collected.shares,
            dealers=self._collected.dealers,
            survivors=self._collected.survivors,
        )

    @property
    def _agreement(self) -> Agreement:
        if self._collected.agreement is None:
            raise InvalidInput("input/argument", "step 1 is not closed")
        return self._collected.agreement
