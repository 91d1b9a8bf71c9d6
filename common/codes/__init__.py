"""Every named code, what it means and what to do about it; `docs/codes.md` prints this table.

A code is ``room/what``. Codes are stable: scripts and auditors match on them. The entries stand in
modules beside this one, by who meets them.
"""

from collections.abc import Mapping
from types import MappingProxyType

from recommons.common.codes.audit import AUDIT
from recommons.common.codes.code import Code
from recommons.common.codes.membership import MEMBERSHIP
from recommons.common.codes.protocol import PROTOCOL
from recommons.common.codes.records import RECORDS
from recommons.common.codes.running import RUNNING
from recommons.common.codes.use import USE

__all__ = ["CODES", "REMEDIES", "ROOMS", "Code"]

CODES: Mapping[str, Code] = MappingProxyType(
    PROTOCOL | RECORDS | AUDIT | MEMBERSHIP | RUNNING | USE
)

REMEDIES: Mapping[str, str] = MappingProxyType({code: of.remedy for code, of in CODES.items()})

ROOMS: Mapping[str, str] = MappingProxyType(
    {
        "agent": "A site's engineer, in the agent's log and at its health endpoint.",
        "audit": "Whoever runs `recommons audit`: each finding carries one.",
        "authority": "The coordinator's operator, where a site's certificate is issued or renewed.",
        "bench": "Whoever runs `recommons bench`, `compare` or `tune`.",
        "budget": "Whoever runs `recommons budget plan`.",
        "command": "Anyone at the command line, whatever the command.",
        "console": "Whoever starts or opens one of the consoles.",
        "coordinator": "The coordinator's operator, at `recommons coordinator`.",
        "data": "Whoever brings events, items or a catalogue: a site's engineer, a researcher. The "
        "coordinator is told no more than `site/data`.",
        "enrolment": "A site's engineer at `recommons site join`; the desk answers with them.",
        "federation": "The coordinator's operator at `recommons federation`.",
        "gateway": "The coordinator's operator, in the gateway's log, beside the site's name. The "
        "site's agent tells the same as `agent/turned-away` or `agent/run-over`.",
        "input": "Whoever calls a command or the library with a value it does not take.",
        "ledger": "Sites and coordinator where they read one another's heads and receipts, and "
        "whoever runs `recommons audit`.",
        "model": "Whoever writes a plan or a model of their own.",
        "plan": "Whoever writes a plan; a site that refuses one, and the coordinator it refuses.",
        "policy": "A site that refuses a plan or an attempt by its own rules, and the coordinator, "
        "which learns the code alone.",
        "privacy": "Whoever plans a run, or accounts for one.",
        "recommend": "Whoever runs `recommons recommend`.",
        "release": "A site where it fetches a model, and whoever opens one.",
        "report": "Whoever opens the report of a simulation.",
        "roster": "A site's operator where a new epoch arrives or is accepted.",
        "run": "The coordinator's operator at `recommons coordinator run` and `status`, and "
        "whoever runs `recommons simulate`.",
        "secagg": "Both sides of a secure sum, where an attempt is planned or given up; the "
        "ledgers of both keep why.",
        "site": "The coordinator, as a site's answer in place of a step, and the site's engineer, "
        "in its log and ledger.",
    }
)
"""Who meets the codes of a room."""
