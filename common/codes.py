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
    "data/settings": "Correct the named entry of the site's data.toml (docs/site-guide.md).",
    "data/password": "Name the environment variable or the file that holds the password "
    "(password_env, password_file in data.toml), and take the password itself out of the URL.",
    "data/driver": "Install the database's driver for SQLAlchemy, e.g. "
    "`pip install 'recommons[postgres]'`.",
    "data/database": "Run the query with the database's own client under the same account; for an "
    "SQLSTATE see the database's manual.",
    "data/changed": "Nothing to do if it happens once: the data are read again. Replace files as a "
    "whole (write beside, then rename) while a site runs.",
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
    "secagg/signing-key": "Under this key anybody's signature may hold. Have its owner make a new "
    "one, and ask how it came about: no sound software makes such a key.",
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
    "privacy/bad-spending": "Restore the site's store as it was written; do not edit what it holds "
    "of spent budgets.",
    "privacy/unsupported-sampling": "Account for each run by itself, and sample all blocks of an "
    "attempt by one draw at one rate: the guarantee is proved for nothing else.",
    "privacy/epsilon-unreachable": (
        "Choose ε and δ within what the noise can give: a larger δ, an ε neither tiny nor huge, "
        "fewer blocks, or ε infinite for none."
    ),
    "privacy/ring-too-small": "Take a wider ring (ring_bits, up to 64), declare fewer users a "
    "site, or run with fewer sites.",
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
    "ledger/rollback": "A writer shows an earlier head than it has signed: it lost lines, or keeps "
    "two histories. Ask it, and compare its ledger with the heads others hold.",
    "ledger/head": "The head is not signed by its writer: compare its key with the roster's.",
    "ledger/receipt": "The receipt is not the coordinator's for this attempt and these survivors: "
    "update the coordinator, or report it to the federation.",
}

_MODEL: dict[str, str] = {
    "model/unknown": "Name a model that this version knows: als or ease.",
    "model/catalogue-too-large": "Choose the model als, or raise the model's limit in the plan.",
    "model/settings": "Use the settings of a plan made by this version, unchanged.",
    "model/unsound-module": "Change the named module as docs/neural-models.md says, so that each "
    "user's gradient can be measured; otherwise nothing bounds what a user adds.",
    "model/coarse-grid": "Ask for a smaller model, fewer users a round or wider noise: what "
    "rounding may add is too large a part of the sensitivity.",
}

_PLAN: dict[str, str] = {
    "plan/invalid": "Correct the named fields; docs/plan.md describes every field of a plan.",
    "plan/file": "Correct the named keys of the plan file; docs/plan.md lists them all.",
    "plan/signature": "Use a plan signed by the coordinator whose key this site has pinned.",
    "plan/roster": "Bring site and coordinator to the same roster epoch before starting the run.",
    "plan/cohort": "Name only sites of the roster in the cohort, and each with its declared users.",
    "plan/catalogue": "Give every site the same public catalogue as the plan pins.",
    "plan/mechanism": "Have the coordinator calibrate the plan again: its noise, clips or blocks "
    "are not those of its model, or do not give the guarantee it claims.",
}

_ROSTER: dict[str, str] = {
    "roster/file": "Use the file of the new epoch as the federation or another site gave it.",
    "roster/signature": "Do not accept it: ask the federation who signed this roster.",
    "roster/epoch": "Use a roster of this federation that is later than the pinned one.",
    "roster/own-entry": "Ask the federation to put this site on the roster with its present key.",
    "roster/none-waits": "Nothing to do; or name the file of an epoch that you were sent.",
    "roster/not-approved": "Look at what changes and accept it by hand, or gather approvals with "
    "`recommons site roster approve` where the policy says by-majority.",
}

_FEDERATION: dict[str, str] = {
    "federation/passphrase": "Give the passphrase that `recommons federation init` was given, by "
    "prompt, --passphrase-file or RECOMMONS_FEDERATION_PASSPHRASE; it cannot be recovered.",
    "federation/key": "Name the federation's sealed key with --key, where it was moved away from "
    "the home.",
    "federation/name": "Name the federation and its sites by 1 to 64 of a-z, 0-9, '.', '_' and "
    "'-', beginning and ending with a letter or digit.",
    "federation/address": "Give host names or addresses by which sites reach the coordinator, "
    "without scheme or port.",
    "federation/member": "Revoke the site first, or invite another name: it is a member already.",
    "federation/no-request": "Look at `recommons federation requests`: no request of that name "
    "waits.",
    "federation/not-a-member": "Look at `recommons federation status` for the members' names.",
    "federation/fingerprint": "Approve only the fingerprint that the site's operator reads to you; "
    "another one was asked for.",
    "federation/no-roster": "Approve a first site: there is no roster yet.",
    "federation/policy": "Correct the named fields of policy.toml in the federation's home.",
}

_ENROLMENT: dict[str, str] = {
    "enrolment/token": "Copy the whole line that the federation's operator sent, or ask for a new "
    "invitation.",
    "enrolment/unknown": "Ask the federation's operator for a new invitation: this one was "
    "withdrawn, or is another federation's.",
    "enrolment/expired": "Ask the federation's operator for a new invitation.",
    "enrolment/token-used": "Continue in the folder in which the invitation was used first; if "
    "that was not yours, tell the federation's operator at once and ask for a new invitation.",
    "enrolment/other-site": "Join under the name that the invitation is for.",
    "enrolment/name-taken": "Ask the federation's operator for an invitation under another name.",
    "enrolment/key-taken": "Make new keys: another site of the federation has one of these.",
    "enrolment/rejected": "Ask the federation's operator why the request was turned down.",
    "enrolment/message": "Update the older side: site and coordinator must speak one version.",
    "enrolment/too-large": "Use the site's own software of this version: the call is too large.",
    "enrolment/too-many-calls": "Wait a minute; `recommons site join` does so by itself.",
    "enrolment/no-such-call": "Check that the address is the enrolment desk's.",
    "enrolment/unreachable": "Check address, DNS, firewall and proxy, and that the coordinator "
    "runs; then run the same command again.",
    "enrolment/authority": "Do not go on: somebody answers in the coordinator's place. Compare "
    "the invitation with the federation's operator.",
    "enrolment/federation-key": "Do not go on: the desk speaks for another federation than the "
    "invitation. Tell the federation's operator.",
    "enrolment/certificate": "Ask the federation's operator to approve the request again: the "
    "certificate is not for this site's key.",
    "enrolment/waiting": "Run the same command again when the operator has approved the request.",
    "enrolment/joined": "Nothing to do: the folder is that of a joined site. Name another folder "
    "for another site.",
    "enrolment/folder": "Name an empty folder, or the one in which this invitation was used.",
    "enrolment/declined": "Nothing was pinned. Run the command again to consent.",
    "enrolment/users": "Give --users: the number of the site's users, rounded.",
    "enrolment/check": "Mend what is marked FAIL as its remedy says, then run the command again.",
    "enrolment/succession": "Ask the site's operator: its present key did not sign the new one.",
}

_POLICY: dict[str, str] = {
    "policy/invalid": "Correct the named fields of the site's policy.toml; "
    "`recommons site policy check` reads it without any effect.",
    "policy/model": "Train a model the policy lists, or add the model to the site's policy.",
    "policy/plan-hash": "Add the plan's hash to plans.hashes in the policy, or clear that list.",
    "policy/epsilon": "Ask for a plan with a smaller epsilon, or raise budget.epsilon.",
    "policy/delta": "Ask for a plan with a smaller delta, or raise budget.delta in the policy.",
    "policy/rounds": "Ask for a plan with fewer rounds, or raise plans.most_rounds in the policy.",
    "policy/spare-attempts": "Ask for a plan with fewer spare attempts, or raise "
    "plans.most_spare_attempts in the policy.",
    "policy/peer-fingerprint": "Do not take part: a site's key is not the one you verified. Call "
    "the site; if it has a new key, verify that and correct peers.verified.",
    "policy/verified-peers": "Compare fingerprints with more peers and add them to peers.verified, "
    "or lower peers.least_verified_survivors; then open a new attempt.",
    "policy/survivors": "Ask for a plan with larger min_survivors.",
    "policy/colluding": "Ask for a plan that assumes at least as many colluding sites.",
    "policy/own-users": "Take part once the site has more users of its own.",
    "policy/catalogue": "Publish a catalogue, or accept an inferred one in the policy.",
    "policy/spent": "Wait until earlier plans have left the window, raise budget.epsilon, or let "
    "budget.when_exhausted leave users out; what was reserved is not handed back.",
    "policy/upload": "Ask for a smaller model, or raise plans.largest_upload_bytes.",
}

_SITE: dict[str, str] = {
    "site/silent": "Start a new run: nothing was heard of this one for the whole window of the "
    "site's budget.",
    "site/attempt-expired": "Start a new attempt: a site takes no step of one that it has "
    "advertised for more than seven days ago.",
    "site/superseded": "Nothing to do: the coordinator opened a new attempt and this one ended.",
    "site/folder": "Point at a site folder made by `recommons simulate` or at enrolment.",
    "site/message": "Update the older side: both must speak the same version of the messages.",
    "site/data": "Read the site's own log: its data cannot be read.",
    "site/old-backup": "The folder is older than what this site has written. Put the newest copy "
    "of the folder in its place; docs/ledger.md says what to do where there is none.",
    "site/paused": "Go on without the site, or ask its operator to give `recommons site resume`.",
    "site/halted": "The site was restored from an old backup. Put the newest copy of its folder in "
    "place; where there is none, see `recommons site clear-halt --help`.",
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
    "run/expansion": "Resume the run; if it happens again, look at the memory and process limits.",
    "bench/output": "Name a folder (or for some a file) that you may write, or leave --output out.",
    "bench/wrong": "Report it with the output: what was measured gave a wrong result.",
    "run/interrupted": "Nothing to do: the process ended in this attempt, which counts as spent.",
    "run/stopped": "Nothing to do: the operator stopped the run. `recommons coordinator resume` "
    "takes it up again, unless it was ended for good.",
    "run/fault": "See superlink/superexec.log in the coordinator's home; `recommons coordinator "
    "resume` takes the run up again.",
    "run/unknown": "Name a run of this home; `recommons coordinator status` lists them.",
    "run/attempts": "Plan more spare attempts, lower min_survivors, or bring the sites back.",
    "run/sites": "Wait until the sites of the cohort are connected, or plan a smaller cohort.",
    "run/refused": "Read each site's named refusal and change the plan or the site's policy.",
    "run/ledger-busy": "Let one run of a federation end, or stop its process, before the next.",
    "run/output": "Name an empty folder, or continue the run in it with --resume.",
    "run/folder": "Point at the coordinator's folder of a run, unchanged since it was written.",
    "run/resume": "Resume in the folder of an unfinished run, with the same plan and data.",
    "run/too-small": "Use fewer sites, so that each has users to train on.",
}

_DEPLOYMENT: dict[str, str] = {
    "authority/key": "Give the authority's own certificate, key and passphrase.",
    "authority/request": "Send the request that `recommons site join` wrote, unchanged.",
    "coordinator/home": "Name a folder that `recommons federation init` made, or an empty one for "
    "a new federation.",
    "coordinator/no-roster": "Invite a site and approve its request first.",
    "coordinator/superlink": "See superlink/superlink.log in the coordinator's home, and whether "
    "`recommons coordinator start` runs.",
    "gateway/members": "Restore the members' list; approve a site again to have it written anew.",
    "gateway/upstream": "Let the SuperLink listen on 127.0.0.1 or ::1, behind the gateway.",
    "gateway/not-a-member": "Approve the site, or give it a certificate for its present node key: "
    "no present member has the key in the certificate that it showed.",
    "gateway/no-such-call": "Use the agent of this version; sites can reach nothing else here.",
    "gateway/other-node": "Start the agent with the node key that its certificate was issued for.",
    "gateway/not-yours": "Nothing to do after a restart of the gateway: the message is given up. "
    "Otherwise ask the site's operator what runs there.",
    "gateway/malformed": "Update the older side: both must speak the same version of Flower.",
    "gateway/too-large": "Plan a smaller model, or raise the gateway's limit.",
    "gateway/too-many-calls": "Let one agent run for each site; or raise the gateway's limit.",
    "gateway/range": "Ask for bytes that the file has, in one range; the agent does.",
    "gateway/slow-body": "Improve the site's connection, or raise the gateway's limit.",
    "gateway/upstream-away": "See the SuperLink's log; the supervisor starts it again.",
    "gateway/upstream-slow": "See the SuperLink's log, and whether the coordinator's disk is slow.",
    "agent/credentials": "Enrol the site, or put node.key, node.pem and authority.pem into its "
    "folder as enrolment wrote them.",
    "agent/connection": "Correct the named field of the site's connection.toml.",
    "agent/running": "Stop the other agent of this folder first: two would speak for one site.",
    "agent/unreachable": "Check the address, DNS, firewall and proxy; the agent keeps trying.",
    "agent/tls": "Compare the coordinator's certificate, this site's, and both clocks: one of the "
    "certificates is expired, foreign or for another name.",
    "agent/turned-away": "Ask the coordinator's operator whether this site is approved; its log "
    "holds the reason.",
    "agent/lease": "Nothing to do: the coordinator still counts an earlier agent of this site as "
    "connected and takes this one when that lease has ended.",
    "agent/run-over": "Nothing to do: the run ended before this site's reply.",
    "agent/message-type": "Ask the coordinator's operator what it runs: this site answers the "
    "messages of Recommons alone.",
    "agent/message": "Ask the coordinator's operator what it runs: a message was not whole.",
    "agent/bundle": "Ask the coordinator's operator why it sends another bundle than the empty one "
    "of Recommons. Nothing of it was fetched or run.",
}

_BUDGET: dict[str, str] = {
    "budget/picture": "Name a file that ends in .svg.",
}

_CONSOLE: dict[str, str] = {
    "console/folder": "Name the coordinator's home, or the coordinator's folder of a simulation.",
    "console/form": "Go back, load the page again and send the form once more: the session has "
    "ended, or another page sent it.",
    "console/host": "Open the console under 127.0.0.1 or localhost, or start it with --name for "
    "the name it is reached by.",
    "console/password": "Start the console with --new-password; console.json is not as it was "
    "written.",
    "console/port": "Choose another --port, or end the program that listens there.",
    "console/tls": "Listen on 127.0.0.1 and reach the console through a tunnel, or give both "
    "--tls-certificate and --tls-key.",
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
    "release/signature": "Do not use it: ask the coordinator's operator where it comes from.",
    "release/history": "Do not use it: ask the coordinator's operator why releases were taken back "
    "or replaced; a home restored from an old backup lacks the latest.",
    "release/none": "Wait until a run of the federation has finished, with the agent running.",
    "release/disk": "Make room on the disk of the site's folder; the download goes on by itself.",
    "release/version": "Install the version of recommons that wrote the model, or a newer one.",
}

_REPORT: dict[str, str] = {
    "report/invalid": "Point at the report.json of a run of this version of recommons.",
}

_RECOMMEND: dict[str, str] = {
    "recommend/unknown-interest": "Give a label of the catalogue, or words of a title.",
    "recommend/unknown-item": "Give ids from the model's catalogue (item_ids in model/model.json).",
    "recommend/unknown-site": "Name one of the folders under sites/ in the output of the run.",
    "recommend/no-known-items": "Check that the file's item ids are the model's.",
    "recommend/output": "Name an output file that ends in .parquet, .csv or .jsonl.",
}

_AUDIT: dict[str, str] = {
    # What was given.
    "audit/trust": "Give --trust the federation.json, signed roster or roster that was compared "
    "out of band.",
    "audit/path": "Name files and folders that are there.",
    "audit/unreadable": "Make the file readable, or give a copy of it that is a plain file.",
    "audit/not-a-ledger": "Give ledgers and receipts as `recommons site ledger export` and "
    "`recommons coordinator ledger export` write them.",
    "audit/empty": "Ask whoever gave the file for it again: it holds nothing.",
    "audit/no-ledgers": "Give at least one ledger, or a folder that holds one.",
    "audit/missing-ledger": "Ask the named party for its ledger and receipts, and audit again with "
    "them.",
    "audit/duplicate-ledger": "Nothing to do: the longer of the two files was read.",
    "audit/many-findings": "Deal with the findings that are listed, then audit again.",
    # Keys and rosters.
    "audit/keys-not-pinned": "Compare the fingerprint with the federation's operator over the "
    "telephone, or audit again with --trust federation.json.",
    "audit/no-key": "Give --trust federation.json, or a site's ledger, which names the key.",
    "audit/no-roster": "Give --trust a pinned roster, or a ledger that holds the roster.",
    "audit/roster": "Ask the writer how it came to hold this roster: it is not one that makes it "
    "a member.",
    "audit/roster-signature": "Trust nothing signed under this roster: the federation's key did "
    "not sign it.",
    "audit/roster-epoch": "Ask the writer why epochs do not rise in its ledger.",
    "audit/roster-approval": "Ask the site's operator how this roster took effect: its policy then "
    "wanted another way, or the approvals in the entry are not those of most sites.",
    "audit/head-forgotten": "Ask the site's operator why: it is right after that writer was "
    "restored from an old backup, which its own ledger then says.",
    "audit/roster-split": "Find out who signed two rosters of one epoch: whoever holds the "
    "federation's key can show parties different members.",
    "audit/other-federation": "Audit the ledgers of one federation at a time, or find out who gave "
    "this party another federation key.",
    "audit/other-coordinator": "Find out who gave this site another coordinator key: it may have "
    "taken part in runs that the others know nothing of.",
    "audit/unknown-writer": "Take the file out, or find out why its writer is on no roster.",
    # Ledgers against one another.
    "audit/unanchored": "Add the ledger and receipts of another party: the coordinator's, or a "
    "site's of the same run.",
    "audit/receipt": "Ask the file's owner for its receipts again; if they are as they were, the "
    "coordinator issued one that does not fit its ledger.",
    "audit/receipt-missing": "Ask the site for its whole file of receipts.",
    "audit/head-signature": "Ask the file's owner how it came by a head that its writer never "
    "signed.",
    "audit/head-place": "Ask the site what its ledger said when it sent its vector: it is not what "
    "it says now.",
    "audit/plan-differs": "Compare the plans: parties were shown different ones for one run.",
    "audit/survivors-differ": "Stop the federation's runs until this is explained: sites that are "
    "shown different sets of survivors can be made to reveal a single site's sum.",
    "audit/vector-differs": "Ask both: the coordinator summed something else than the site sent.",
    "audit/unrecorded": "Ask the coordinator why its ledger is silent about what this site did.",
    "audit/unadmitted": "Ask the site why its ledger is silent about what it sent.",
    "audit/uncounted-attempt": "Count the attempt: vectors had left when it came to nothing, and "
    "the claims leave it out.",
    # Certificates.
    "audit/certificate": "Ask the coordinator for the certificate itself; its entry describes "
    "another one.",
    "audit/quorum": "Treat the sum as opened without the sites' consent: no quorum signed.",
    "audit/survivors": "Treat the sum as opened against the protocol: the sets of sites are not "
    "what it permits.",
    # Rules.
    "audit/misplaced": "Ask the writer for its ledger again: the entry is another role's.",
    "audit/not-joined": "Ask the writer what run this was: nobody agreed to it.",
    "audit/not-reserved": "Count what was sent as spent: it left without being reserved.",
    "audit/after-end": "Ask the writer what happened: it went on after it had said it was over.",
    "audit/run-repeated": "Ask the writer how one run could begin or end twice.",
    "audit/context": "Ask the writer which plan this was: the context is of another.",
    "audit/context-used": "Treat the sites' vectors of this attempt as open: masks were used "
    "twice.",
    "audit/attempts": "Count the attempt; the site should have refused it.",
    "audit/canaries": "Rely on no figure of this empirical audit: its coins were not fixed before "
    "the run, or were known during it.",
    "audit/events": "Count what the entry says: it is not what the plan allowed.",
    "audit/plan": "Ask the coordinator for a plan of this version that can be carried out.",
    "audit/plan-roster": "Ask the site which roster it had pinned when it took part.",
    "audit/plan-cohort": "Ask the coordinator why the cohort is not of the roster.",
    "audit/policy": "Tell the site's privacy officer: the site did what its policy forbids.",
    "audit/policy-document": "Ask the site for its policy as it was.",
    "audit/no-policy": "Ask the site which policy was in force.",
    "audit/verified-peers": "Tell the site's privacy officer: too few peers whose keys were "
    "compared took part.",
    "audit/halted": "Ask the site who let it go on after lines of its ledger were lost.",
    "audit/old-backup": "Ask the site for the ledger it had before it restored a backup; without "
    "it, what it spent in the meantime cannot be told.",
    "audit/clock": "Ask the site about its clock: windows of budgets rest on it.",
    "audit/unfinished-run": "Audit again when the run has ended.",
    "audit/took-no-part": "Nothing to do, unless the named site should have taken part.",
    # Budgets and guarantees.
    "audit/plan-claim": "Read the plan's figure as the recomputed one; have the coordinator "
    "calibrate again.",
    "audit/release-claim": "Read the release's figure as the recomputed one.",
    "audit/spent-over-plan": "Tell the sites: more was spent than the plan they agreed to.",
    "audit/budget": "Tell the site's privacy officer: users were charged more than the policy "
    "allows.",
    "audit/budget-unnoticed": "Ask the site whether users over the cap took part.",
    "audit/budget-overcautious": "Nothing to do: users were left out who could have taken part.",
    "audit/no-guarantee": "Use such a run only where everybody's data may be revealed.",
    "audit/unknown-event": "Audit with a version of Recommons that knows this type of release.",
    "audit/unknown-entry": "Audit with a version of Recommons that knows this kind of entry.",
}

REMEDIES: Mapping[str, str] = MappingProxyType(
    _INPUT
    | _DATA
    | _SECAGG
    | _PRIVACY
    | _LEDGER
    | _AUDIT
    | _MODEL
    | _PLAN
    | _ROSTER
    | _FEDERATION
    | _ENROLMENT
    | _POLICY
    | _SITE
    | _RUN
    | _DEPLOYMENT
    | _BUDGET
    | _CONSOLE
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
