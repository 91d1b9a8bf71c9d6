"""The runs of a coordinator's home: founded from a plan file, numbered, never deleted."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from recommons.common.data.catalogue_document import catalogue_to_bytes
from recommons.common.durably import write_durably
from recommons.common.errors import InvalidInput
from recommons.common.federation import Federation
from recommons.common.plan import Plan
from recommons.common.secagg.identity import SigningIdentity
from recommons.server.operating.attendance import RunOptions
from recommons.server.planning.plan_file import PlannedRun
from recommons.server.planning.wish import make_plan, specs_for
from recommons.server.records.folder import CoordinatorFolder

__all__ = ["RUNS", "Runs"]

RUNS = "runs"
_FLOWER = "flower.json"


@dataclass(frozen=True, eq=False)
class Runs:
    """The runs of one home.

    Attributes:
        home: The home's folder.
    """

    home: Path

    def names(self) -> list[str]:
        """The runs there are, in the order in which they were founded.

        One that has lost its id is among them: its number is not given again.
        """
        signs = ("run.json", _FLOWER)
        found = {
            path.parent.name for sign in signs for path in (self.home / RUNS).glob(f"*/{sign}")
        }
        return sorted(filter(str.isdecimal, found), key=int)

    def path(self, name: str | None = None) -> Path:
        """The folder of a run; of the latest where no name is given.

        Raises:
            InvalidInput: ``run/unknown``.
        """
        names = self.names()
        # Compared with the folders that are there, so that no name leads out of them.
        if not names or (name is not None and name not in names):
            known = ", ".join(names[-5:]) or "none"
            raise InvalidInput("run/unknown", f"RUN is {name!r}; runs of this home: {known}")
        return self.home / RUNS / (names[-1] if name is None else name)

    def plan(self, planned: PlannedRun) -> Plan:
        """The plan that a plan file asks of this federation, every number pinned.

        Raises:
            InvalidInput: ``plan/file``: it only counts the catalogue's items; ``plan/cohort``: it
                names sites that are not in the roster; or the model and the guarantee do not fit.
            PrivacyError: No noise grants what is asked for.
        """
        if planned.counted_only:
            raise InvalidInput(
                "plan/file", "items is given; required for a run: catalogue, the document itself"
            )
        roster = self.federation().roster
        unknown = sorted(set(planned.declared_users) - set(roster.keys))
        if unknown:
            raise InvalidInput(
                "plan/cohort",
                f"sites names {', '.join(unknown)}; required: sites of roster epoch "
                f"{roster.epoch}, which are {', '.join(sorted(roster.keys))}",
            )
        specs = specs_for(planned.model, planned.declared_users, planned.wish)
        return make_plan(
            planned.model,
            planned.catalogue,
            roster,
            planned.declared_users,
            planned.wish,
            specs,
        )

    def found(self, planned: PlannedRun, options: RunOptions) -> CoordinatorFolder:
        """Found the next run. Whoever calls it holds `starting.starting`: no two get one number.

        Raises:
            InvalidInput: As `plan`.
        """
        plan = self.plan(planned)
        number = int(self.names()[-1]) + 1 if self.names() else 1
        folder = self.home / RUNS / f"{number:03d}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        options.write(folder)
        return CoordinatorFolder.create(
            folder,
            self._identity(),
            self.federation(),
            plan,
            catalogue_to_bytes(planned.catalogue),
            records=self.home,
        )

    def federation(self) -> Federation:
        """The roster in force, and the keys.

        Raises:
            InvalidInput: ``coordinator/no-roster``: nobody was approved yet.
        """
        try:
            return Federation.from_bytes((self.home / "federation.json").read_bytes())
        except FileNotFoundError:
            raise InvalidInput(
                "coordinator/no-roster", f"{self.home} has no roster yet: no site was approved"
            ) from None

    def _identity(self) -> SigningIdentity:
        try:
            key = bytes.fromhex((self.home / "coordinator.key").read_text().strip())
            return SigningIdentity(key)
        except (OSError, ValueError):
            raise InvalidInput(
                "coordinator/home", f"coordinator.key in {self.home} cannot be read"
            ) from None


def flower_runs(run: Path) -> list[int]:
    """Flower's ids of the runs in which ours was carried out, in order."""
    with suppress(OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return [int(number) for number in json.loads((run / _FLOWER).read_bytes())["runs"]]
    return []


def note_flower_run(run: Path, number: int) -> None:
    """Our run is now carried out in this run of Flower's."""
    write_durably(run / _FLOWER, json.dumps({"runs": [*flower_runs(run), number]}).encode())
