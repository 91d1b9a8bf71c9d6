"""What an attack is, and how it is tried."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recommons.common.wire import Exchange
from recommons.simulations.attacks.ground import Ground
from recommons.simulations.attacks.stage import Answered, Stage

__all__ = ["COLLUDER", "TARGET", "Attack", "Ended", "Trial", "attempt"]

TARGET, COLLUDER = "site-0", "site-4"
"""Whom attacks are aimed at, and the one site that may help the coordinator (c = 1)."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How an attack ended.

    Attributes:
        code: The code under which it was refused; None where nobody refused it.
        victims: Sites whose attempt ended with it: they must hold no secret any more.
        note: What was seen beside the code.
    """

    code: str | None
    victims: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Attack:
    """A program that sits in the coordinator's seat, a site's, or both.

    Attributes:
        name: Short and stable.
        does: What the attacker does.
        gains: What it would gain without the rule.
        rule: The rule of DESIGN section 4 that stops it.
        code: The code it ends in; None where nothing can stop it, as `gains` then says.
        run: The program; it is given a stage that was played up to `before`.
        before: The exchange that comes next when the attack begins.
        opens: The attacked attempt may still end in a sum of the honest survivors: the coordinator
            is honest, or the attack comes after the end.
        noisy: Plays against a plan with noise and without spare attempts.
    """

    name: str
    does: str
    gains: str
    rule: str
    code: str | None
    run: Callable[[Stage], Ended]
    before: Exchange = "advertise"
    opens: bool = False
    noisy: bool = False


@dataclass(frozen=True, kw_only=True)
class Trial:
    """An attack with how it ended.

    Attributes:
        attack: The attack.
        code: The code found; ``"answered"`` where a site answered what it had to refuse.
        revealed: Sites that revealed shares.
        left: Secrets still on the disks of the victims.
        note: What was seen beside.
    """

    attack: Attack
    code: str | None
    revealed: tuple[str, ...]
    left: int
    note: str

    @property
    def held(self) -> bool:
        """Refused as it must be, with nothing opened and nothing left."""
        opened = bool(self.revealed) and not self.attack.opens
        return self.code == self.attack.code and not opened and not self.left

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        attack = self.attack
        return {
            "name": attack.name,
            "does": attack.does,
            "gains": attack.gains,
            "rule": attack.rule,
            "expected": attack.code,
            "code": self.code,
            "revealed": list(self.revealed),
            "secrets_left": self.left,
            "note": self.note,
            "held": self.held,
        }


def attempt(attack: Attack, ground: Ground, folder: Path) -> Trial:
    """Try an attack on a copy of the ground, made in `folder`."""
    with ground.stage(folder, before=attack.before) as stage:
        try:
            ended = attack.run(stage)
        except Answered as answered:
            ended = Ended(code="answered", note=str(answered))
        return Trial(
            attack=attack,
            code=ended.code,
            revealed=stage.revealed(),
            left=sum(stage.traces[site].left() for site in ended.victims),
            note=ended.note,
        )
