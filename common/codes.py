"""Every named code and what to do about it; `docs/codes.md` prints this table.

A code is ``room/what``. Codes are stable: scripts and auditors match on them.
"""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["REMEDIES"]

_INPUT: dict[str, str] = {
    "input/argument": "Give the named argument a value of the kind the message asks for.",
}

_DATA: dict[str, str] = {
    "data/empty": "Provide at least one row of data, or check that the path is the intended file.",
    "data/not-found": "Check the path; it names neither a file nor a folder.",
    "data/format": "Use a .parquet, .csv, .tsv or .jsonl file, or a published MovieLens layout.",
    "data/no-events": "Put a file of events (events.parquet, events.csv, ...) into the folder.",
    "data/ambiguous": "Keep one of the named files or columns, or name the one that is meant.",
    "data/missing-column": "Add the column, or map the name it has in the file (--columns).",
    "data/missing-value": "Fill the cell, or remove the row from the file.",
    "data/empty-column": "Fill the column, or map the column that holds the values (--columns).",
    "data/unreadable": "Correct the named row to what the message asks for, or remove it.",
    "data/encoding": "Save the file as UTF-8; `iconv -f LATIN1 -t UTF-8` often does.",
    "data/duplicate-item": "Keep one row for each item in the file of items.",
    "data/negative-time": "Give times as seconds since 1970 or as ISO 8601, none before 1970.",
    "data/benchmark": "Make the files in benchmark/ name users and pairs of this data set only.",
    "data/unknown-item": "Use the item ids of the catalogue; none of the file's ids is in it.",
    "data/too-few-users": "Use more data, or fewer sites: there are not enough users to divide.",
    "data/no-attribute": "Use --partition uniform or skewed, or map the column of countries.",
    "data/catalogue": "Fetch the catalogue again; the document is damaged or of another version.",
}

_SECAGG: dict[str, str] = {
    # What a cohort can tolerate, checked before anything is sent.
    "secagg/cohort-size": "Name from 2 to 4096 sites in the plan.",
    "secagg/colluding": "Assume at most N - 2 colluding sites: a sum must hide one honest site "
    "behind another. Add sites or lower c.",
    "secagg/least-survivors": "Raise M to at least max(⌊(N + c)/2⌋ + 1, c + 2), or add sites or "
    "lower c; N - M sites may drop out (with N = 3 and c = 1, none may).",
    "secagg/context": "Give a federation id, a 16-byte run id, a round, an attempt, an ascending "
    "cohort and two 32-byte hashes that fit the plan.",
    "secagg/roster": "Use the roster, in its canonical form, that the federation signed and this "
    "site pinned.",
    "secagg/not-in-cohort": "Name this site in the plan's cohort, or use the signing key that the "
    "roster lists for it.",
    "secagg/vector": "Pass a one-dimensional int64 array of exactly the plan's size.",
    "secagg/state": "The stored round cannot be used; let this attempt pass and wait for the next.",
    # Any message.
    "secagg/malformed": "Update the side that sent the message, or look for damage in transport.",
    "secagg/version": "Run the same protocol version at the coordinator and at every site.",
    "secagg/other-context": "The message belongs to another attempt; route messages by context.",
    "secagg/other-set": "The sites were told different sets of sites. An honest coordinator does "
    "not do that: report it to the federation.",
    "secagg/out-of-order": "Take the steps in order; after a restart resume from the latest state.",
    "secagg/repeated": "Send the stored reply again; nothing is computed twice.",
    "secagg/sender": "The message was sent in another site's name: check the site's transport key.",
    "secagg/signature": "The site's signature does not fit: compare its key with the roster and "
    "check that both sides hold the same plan.",
    # Step 2.
    "secagg/key-signature": "A key was advertised without its site's signature. Do not continue: "
    "report it to the federation.",
    "secagg/key-point": "A site advertised a key that gives no secrecy. Ask its operator what runs "
    "there.",
    "secagg/key-duplicate": "Two sites advertised one key. Ask their operators whether they share "
    "an installation.",
    "secagg/own-key": "This site's own key was replaced on the way. Do not continue: report it to "
    "the federation.",
    "secagg/spec": "The coordinator asked for another vector than the plan's; compare plan hashes.",
    "secagg/public-state": "The coordinator sent another public state than the pinned one.",
    "secagg/too-few-sites": "Wait until more sites are online, or plan with fewer required "
    "survivors; the attempt can be repeated while attempts are left.",
    "secagg/not-in-set": "This site's message came too late for the attempt: raise the deadlines "
    "or improve its connection.",
    "secagg/verified-peers": "Verify more peers' keys out of band, or lower this site's own "
    "requirement.",
    # Step 4.
    "secagg/inbox-sites": "Shares came from a site that advertised no keys. Report it to the "
    "federation.",
    "secagg/inbox-signature": "Shares were altered after their dealer signed them, or not signed. "
    "Report it to the federation.",
    "secagg/inbox-ciphertext": "The named site signed shares that do not open: ask its operator "
    "what runs there, and leave it out of the next cohort.",
    "secagg/inbox-commitment": "The named site dealt other shares than it committed to: ask its "
    "operator what runs there, and leave it out of the next cohort.",
    # Steps 5 to 9.
    "secagg/vector-shape": "The site sent a vector of another size or width than the plan's.",
    "secagg/quorum": "Too few sites signed the set of survivors: raise the deadline, or retry.",
    "secagg/certificate-signer": "A signature came from a site that is not a survivor. Report it "
    "to the federation.",
    "secagg/certificate-signature": "A signature in the certificate is not on this set of "
    "survivors. Report it to the federation.",
    "secagg/second-keys": "Two sets of keys came for one context. An honest coordinator does not "
    "do that: report it to the federation.",
    "secagg/second-inbox": "Two inboxes came for one context. An honest coordinator does not do "
    "that: report it to the federation.",
    "secagg/second-survivors": "Two sets of survivors came for one context. An honest coordinator "
    "does not do that: report it to the federation.",
    "secagg/second-certificate": "Two certificates came for one context. An honest coordinator "
    "does not do that: report it to the federation.",
    "secagg/reveal-share": "The site revealed another share than it had accepted: ask its operator "
    "what runs there.",
    "secagg/too-few-shares": "Too few sites stayed until the end to open the sum: retry.",
    "secagg/dealer-fault": "The named site dealt shares that do not give its secret: leave it out "
    "of the next cohort and ask its operator what runs there.",
}

_PRIVACY: dict[str, str] = {
    "privacy/unknown-event": "Use a version of Recommons that knows this type of release.",
    "privacy/bad-event": "Restore the record of the release as it was written; do not edit it.",
    "privacy/unsupported-sampling": "Account for sampled releases with an accountant that can.",
    "privacy/epsilon-unreachable": (
        "Choose ε and δ within what the noise can give: a larger δ, an ε neither tiny nor huge, "
        "fewer blocks, or ε infinite for none."
    ),
    "privacy/ring-too-small": "Declare fewer users a site, or run with fewer sites.",
}

_LEDGER: dict[str, str] = {
    "ledger/not-canonical": "Restore the ledger file as its writer wrote it; do not reformat it.",
    "ledger/schema": "Read the ledger with a version of Recommons that knows its entries.",
    "ledger/foreign-writer": "Keep one ledger a writer; take the other writer's lines out.",
    "ledger/foreign-signature": "Ask the writer for its own ledger, and check the roster's key.",
    "ledger/changed": "Ask the writer for its ledger again: the named line was altered.",
    "ledger/gap": "Ask the writer for the missing lines.",
    "ledger/reordered": "Ask the writer for its ledger again: the lines are out of order.",
    "ledger/duplicate": "Ask the writer for its ledger again: a line stands in it twice.",
    "ledger/fork": "Stop trusting this writer until it explains its two histories.",
    "ledger/truncated": "Ask the writer for the lines after the last; if it restored an old "
    "backup, it must not go on from there.",
}

_MODEL: dict[str, str] = {
    "model/unknown": "Name a model that this version knows: als or ease.",
    "model/catalogue-too-large": "Choose the model als, or raise the model's limit in the plan.",
    "model/settings": "Use the settings of a plan made by this version, unchanged.",
}

_PLAN: dict[str, str] = {
    "plan/invalid": "Correct the named fields; docs/plan.md describes every field of a plan.",
    "plan/signature": "Use a plan signed by the coordinator whose key this site has pinned.",
    "plan/roster": "Bring site and coordinator to the same roster epoch before starting the run.",
    "plan/cohort": "Name only sites of the roster in the cohort, and each with its declared users.",
    "plan/catalogue": "Give every site the same public catalogue as the plan pins.",
    "plan/mechanism": "Have the coordinator calibrate the plan again: its noise, clips or blocks "
    "are not those of its model, or do not give the guarantee it claims.",
}

_POLICY: dict[str, str] = {
    "policy/invalid": "Correct the named fields of the site's policy.json.",
    "policy/model": "Train a model the policy lists, or add the model to the site's policy.",
    "policy/epsilon": "Ask for a plan with a smaller epsilon, or raise epsilon_cap in the policy.",
    "policy/delta": "Ask for a plan with a smaller delta, or raise delta_cap in the policy.",
    "policy/survivors": "Ask for a plan with larger min_survivors.",
    "policy/colluding": "Ask for a plan that assumes at least as many colluding sites.",
    "policy/own-users": "Take part once the site has more users of its own.",
    "policy/catalogue": "Publish a catalogue, or accept an inferred one in the policy.",
    "policy/spent": "Raise epsilon_cap, or train no more on these users: what was reserved by "
    "earlier plans is not handed back.",
    "policy/upload": "Ask for a smaller model, or raise largest_upload_bytes in the policy.",
}

_SITE: dict[str, str] = {
    "site/superseded": "Nothing to do: the coordinator opened a new attempt and this one ended.",
    "site/folder": "Point at a site folder made by `recommons simulate` or at enrolment.",
    "site/message": "Update the older side: both must speak the same version of the messages.",
    "site/data": "Read the site's own log: its data cannot be read.",
    "site/old-backup": "The folder is older than what this site has written. Do not continue with "
    "it: enrol the site anew.",
    "site/run-ended": "Start a new run: this one has ended.",
    "site/not-joined": "Announce the run's plan to this site before its first round.",
    "site/context-used": "Start a new attempt: a context opens at most one sum, ever.",
    "site/step-order": "Send the steps of a round in their order, each once.",
    "site/repeated-step": "Repeat a request with the very same bytes, or start a new attempt.",
    "site/budget": "The run has used all attempts its plan paid for; start a run with a new plan.",
    "site/internal": "Read the site's own log; nothing about the fault leaves the site.",
}

_RUN: dict[str, str] = {
    "run/settings": "Correct the named option or key; `recommons simulate --help` lists them all.",
    "bench/run": "Run the same `recommons simulate` by itself to see where it fails.",
    "run/interrupted": "Nothing to do: the process ended in this attempt, which counts as spent.",
    "run/attempts": "Plan more spare attempts, lower min_survivors, or bring the sites back.",
    "run/sites": "Wait until the sites of the cohort are connected, or plan a smaller cohort.",
    "run/refused": "Read each site's named refusal and change the plan or the site's policy.",
    "run/output": "Name an empty folder, or continue the run in it with --resume.",
    "run/folder": "Point at the coordinator's folder of a run, unchanged since it was written.",
    "run/resume": "Resume in the folder of an unfinished run, with the same plan and data.",
    "run/too-small": "Use fewer sites, so that each has users to train on.",
}

_COMMAND: dict[str, str] = {
    "command/unavailable": "Install what the command needs, or reinstall recommons.",
    "command/usage": "See the command's --help for its options and an example.",
    "command/system": "Free the resource or correct the path the message names, and run it again.",
    "command/fault": "Run it again with RECOMMONS_DEBUG=1 and report the traceback, "
    "once you have seen that it holds no data of yours.",
}

_RELEASE: dict[str, str] = {
    "release/missing": "Point at a folder that `recommons simulate --output` wrote.",
    "release/corrupt": "Fetch or train the model again; its files are not those that were written.",
    "release/version": "Install the version of recommons that wrote the model, or a newer one.",
}

_REPORT: dict[str, str] = {
    "report/invalid": "Point at the report.json of a run of this version of recommons.",
}

_RECOMMEND: dict[str, str] = {
    "recommend/unknown-item": "Give ids from the model's catalogue (item_ids in model/model.json).",
    "recommend/unknown-site": "Name one of the folders under sites/ in the output of the run.",
    "recommend/no-known-items": "Check that the file's item ids are the model's.",
    "recommend/output": "Name an output file that ends in .parquet, .csv or .jsonl.",
}

REMEDIES: Mapping[str, str] = MappingProxyType(
    _INPUT
    | _DATA
    | _SECAGG
    | _PRIVACY
    | _LEDGER
    | _MODEL
    | _PLAN
    | _POLICY
    | _SITE
    | _RUN
    | _COMMAND
    | _RELEASE
    | _REPORT
    | _RECOMMEND
)


def _page() -> str:
    """`docs/codes.md`, rebuilt with ``python -m recommons.common.codes > docs/codes.md``."""
    lines = [
        "# Named codes",
        "",
        "Every failure has a code. Codes are stable: scripts and auditors match on them.",
        "",
        "| code | what to do |",
        "|---|---|",
        *(f"| `{code}` | {remedy} |" for code, remedy in sorted(REMEDIES.items())),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(_page())  # noqa: T201 - the page is what this prints
