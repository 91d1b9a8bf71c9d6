"""A coordinator, step by step, as the specification tells it."""

from tests.naive_secagg import messages as m
from tests.naive_secagg.attempt import Attempt, full_hash, leaf
from tests.naive_secagg.fields import Cursor, Refused, SiteSet
from tests.naive_secagg.keys import (
    fingerprint,
    is_signed,
    pair_mask_key,
    public_key,
    seed_commitment,
    self_mask_key,
    share_commitment,
)
from tests.naive_secagg.masks import add_mask, decode_vector
from tests.naive_secagg.sharing import PRIME, depth, path, recover, root_of

__all__ = ["Coordinator"]


class Coordinator:
    """One attempt. `step` is what is being collected: 1, 3, 5, 7 or 9."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.step = 1
        self.expected = list(range(len(attempt.cohort)))
        self.excluded: dict[int, str] = {}
        self.got: dict[int, dict[int, m.Message]] = {kind: {} for kind in (1, 3, 5, 7, 9)}

    def receive(self, place: int, data: bytes) -> str | None:
        """None where the message counts, otherwise the code under which it is set aside."""
        if place in self.excluded:
            return self.excluded[place]
        if place not in self.expected:
            return "secagg/out-of-order"
        if place in self.got[self.step]:
            return "secagg/repeated"
        try:
            kind, ctx = m.read_header(Cursor(data))
            if ctx != self.attempt.ctx:
                return "secagg/other-context"
            if kind != self.step:
                return "secagg/out-of-order"
            message = m.read(data, self.step)
            self.check(place, message)
        except Refused as refused:
            self.excluded[place] = refused.code
            return refused.code
        self.got[self.step][place] = message
        return None

    def check(self, place: int, message: m.Message) -> None:
        match message:
            case m.Advertise():
                self.check_sender(place, message.site)
                self.check_keys(place, message)
            case m.Shares():
                self.check_sender(place, message.site)
                if message.holders != self.members:
                    raise Refused("secagg/other-set")
                root = root_of(self.leaves(message))
                self.check_signature(
                    place,
                    message.signature,
                    self.attempt.dealt(
                        self.full, place, self.members, message.seed_commitment, root
                    ),
                )
            case m.Masked():
                self.check_sender(place, message.site)
                self.check_masked(place, message)
            case m.Signature():
                self.check_sender(place, message.site)
                statement = self.attempt.survived(self.full, self.dealers, self.survivors)
                self.check_signature(place, message.signature, statement)
            case m.Reveal():
                self.check_sender(place, message.site)
                self.check_reveal(place, message)

    def check_sender(self, place: int, named: int) -> None:
        if place != named:
            raise Refused("secagg/sender")

    def check_signature(self, place: int, signature: bytes, statement: bytes) -> None:
        if not is_signed(self.attempt.public_keys[place], signature, statement):
            raise Refused("secagg/signature")

    def check_keys(self, place: int, message: m.Advertise) -> None:
        a, e = message.mask_key, message.encryption_key
        fault = self.attempt.key_fault(place, a, e, message.signature)
        if fault:
            raise Refused(fault)
        known = [fingerprint(key) for other in self.adverts.values() for key in other[2:4]]
        every = [*known, fingerprint(a), fingerprint(e)]
        if len(every) != len(set(every)):
            raise Refused("secagg/key-duplicate")

    def check_masked(self, place: int, message: m.Masked) -> None:
        if (message.bits, message.size) != (self.attempt.bits, self.attempt.size):
            raise Refused("secagg/vector-shape")
        if message.dealers != self.dealers:
            raise Refused("secagg/other-set")
        statement = self.attempt.masked(self.full, place, self.dealers, message.vector)
        self.check_signature(place, message.signature, statement)

    def check_reveal(self, place: int, message: m.Reveal) -> None:
        if (message.dealers, message.survivors) != (self.dealers, self.survivors):
            raise Refused("secagg/other-set")
        sets = (self.dealers, self.survivors)
        statement = self.attempt.revealed(self.full, place, *sets, message.openings)
        self.check_signature(place, message.signature, statement)
        rank = self.members.members.index(place)
        for dealer, opening in zip(self.dealers.members, message.openings, strict=True):
            kind = 0 if dealer in self.survivors.members else 1
            committed = self.dealt[dealer].commitments[2 * rank + kind]
            found = share_commitment(self.full, kind, dealer, place, opening)
            if found != committed or int.from_bytes(opening[:33], "big") >= PRIME:
                raise Refused("secagg/reveal-share")

    @property
    def adverts(self) -> dict[int, m.Advertise]:
        return {i: x for i, x in self.got[1].items() if isinstance(x, m.Advertise)}

    @property
    def dealt(self) -> dict[int, m.Shares]:
        return {i: x for i, x in self.got[3].items() if isinstance(x, m.Shares)}

    def leaves(self, message: m.Shares) -> list[bytes]:
        sealed = list(message.ciphertexts)
        leaves = []
        for rank, holder in enumerate(message.holders.members):
            pair = message.commitments[2 * rank] + message.commitments[2 * rank + 1]
            leaves.append(leaf(holder, pair, b"" if holder == message.site else sealed.pop(0)))
        return leaves

    def close(self, state: bytes = b"") -> dict[int, bytes]:
        """Ends a step; gives the message for each site that is still in."""
        arrived = SiteSet(len(self.attempt.cohort), tuple(sorted(self.got[self.step])))
        needed = self.attempt.survivors if self.step < 7 else self.attempt.quorum
        codes = {7: "secagg/quorum", 9: "secagg/too-few-shares"}
        if len(arrived.members) < needed:
            raise Refused(codes.get(self.step, "secagg/too-few-sites"))
        self.expected = list(arrived.members)
        self.step += 2
        ctx = self.attempt.ctx
        if self.step == 3:
            message: m.Message = self.keys(arrived, state)
        elif self.step == 5:
            self.dealers = arrived
            return {i: m.write(self.inbox(i)) for i in arrived.members}
        elif self.step == 7:
            self.survivors = arrived
            message = m.Survivors(ctx, self.dealers, arrived)
        else:
            found = [
                x.signature for _, x in sorted(self.got[7].items()) if isinstance(x, m.Signature)
            ]
            sets = (self.dealers, self.survivors, arrived)
            message = m.Certificate(ctx, self.full, *sets, found)
        return {i: m.write(message) for i in arrived.members}

    def keys(self, members: SiteSet, state: bytes) -> m.Keys:
        entries = [m.KeyEntry(*self.adverts[i][2:5]) for i in members.members]
        keys = m.Keys(self.attempt.ctx, members, entries, self.attempt.spec, state)
        self.full, self.members = full_hash(keys), members
        return keys

    def inbox(self, holder: int) -> m.Inbox:
        rank = self.members.members.index(holder)
        entries = []
        for dealer in self.dealers.members:
            if dealer != holder:
                message = self.dealt[dealer]
                other_holders = [i for i in self.members.members if i != dealer]
                entries.append(
                    m.InboxEntry(
                        message.seed_commitment,
                        message.commitments[2 * rank] + message.commitments[2 * rank + 1],
                        message.ciphertexts[other_holders.index(holder)],
                        path(self.leaves(message), rank),
                        message.signature,
                    )
                )
        levels = depth(len(self.members.members))
        return m.Inbox(self.attempt.ctx, holder, self.dealers, levels, entries)

    def finish(self) -> list[int]:
        """The sum over the survivors, modulo 2^k."""
        reveals = {i: x for i, x in sorted(self.got[9].items()) if isinstance(x, m.Reveal)}
        if len(reveals) < self.attempt.quorum:
            raise Refused("secagg/too-few-shares")
        total, bits = [0] * self.attempt.size, self.attempt.bits
        for i in self.survivors.members:
            message = self.got[5][i]
            assert isinstance(message, m.Masked)
            vector = decode_vector(message.vector, bits)
            total = [(x + y) % 2**bits for x, y in zip(total, vector, strict=True)]
        for rank, dealer in enumerate(self.dealers.members):
            responders = sorted(reveals)[: self.attempt.quorum]
            shares = [int.from_bytes(reveals[i].openings[rank][:33], "big") for i in responders]
            secret = recover([i + 1 for i in responders], shares)
            total = self.unmask(total, dealer, secret)
        return total

    def unmask(self, total: list[int], dealer: int, value: int) -> list[int]:
        if value >= 2**256:
            raise Refused("secagg/dealer-fault")
        secret, bits, full = value.to_bytes(32, "big"), self.attempt.bits, self.full
        if dealer in self.survivors.members:
            if seed_commitment(secret, full, dealer) != self.dealt[dealer].seed_commitment:
                raise Refused("secagg/dealer-fault")
            return add_mask(total, self_mask_key(secret, full, dealer), -1, bits)
        if public_key(secret) != self.adverts[dealer].mask_key:
            raise Refused("secagg/dealer-fault")
        for i in self.survivors.members:
            key = pair_mask_key(secret, self.adverts[i].mask_key, full, dealer, i)
            # Survivor i added this mask if i < dealer and subtracted it otherwise.
            total = add_mask(total, key, -1 if i < dealer else +1, bits)
        return total
