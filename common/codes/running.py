"""Codes of processes at work: coordinator, gateway, agent and site."""

from recommons.common.codes.code import Code

__all__ = ["RUNNING"]

RUNNING: dict[str, Code] = {
    "coordinator/home": Code(
        meaning="The folder is not a coordinator's home, or is one already where a new one was to "
        "be made.",
        remedy="Name the folder that `recommons federation init` made (--home; by default the "
        "working folder), or an empty one for a new federation.",
    ),
    "coordinator/no-roster": Code(
        meaning="No site has been approved, so there is no roster.",
        remedy="Invite a site and approve its request first.",
    ),
    "coordinator/superlink": Code(
        meaning="The SuperLink does not answer.",
        remedy="See superlink/superlink.log in the coordinator's home, and whether `recommons "
        "coordinator start` runs.",
    ),
    "coordinator/process": Code(
        meaning="Not every process of the coordinator's is up.",
        remedy="It is started again by itself within half a minute; see its log in superlink/ of "
        "the coordinator's home, and whether `recommons coordinator start` runs.",
    ),
    "coordinator/disk": Code(
        meaning="The coordinator's disk is full, or takes no more for another reason.",
        remedy="Make room on the disk of the coordinator's home. Nothing is lost: the run goes on "
        "by itself within some minutes, or at once by `recommons coordinator resume`.",
    ),
    "run/settings": Code(
        meaning="An option or a key of the settings file is not as required.",
        remedy="Correct the named option or key; `recommons simulate --help` lists them all.",
    ),
    "run/expansion": Code(
        meaning="A process that removes masks at the coordinator failed.",
        remedy="Resume the run; if it happens again, look at the memory and process limits.",
    ),
    "run/interrupted": Code(
        meaning="The process that carried the run out ended without a word, perhaps within an "
        "attempt.",
        remedy="Nothing to do: the process ended in this attempt, which counts as spent.",
    ),
    "run/stopped": Code(
        meaning="The operator stopped the run.",
        remedy="Nothing to do: the operator stopped the run. `recommons coordinator resume` takes "
        "it up again, unless it was ended for good.",
    ),
    "run/fault": Code(
        meaning="The run's process ended by a fault without a code of its own.",
        remedy="See superlink/superexec.log in the coordinator's home; `recommons coordinator "
        "resume` takes the run up again.",
    ),
    "run/unknown": Code(
        meaning="The coordinator's home holds no run of this name, or none at all.",
        remedy="Name a run of this home; `recommons coordinator status` lists them.",
    ),
    "run/attempts": Code(
        meaning="A round gave no sum, and the plan's spare attempts are used up.",
        remedy="Plan more spare attempts, lower min_survivors, or bring the sites back.",
    ),
    "run/sites": Code(
        meaning="Fewer sites are connected, or joined, than a sum needs.",
        remedy="Wait until the sites of the cohort are connected, or plan a smaller cohort.",
    ),
    "run/refused": Code(
        meaning="Fewer sites joined than a sum needs, and some refused by name.",
        remedy="Read each site's named refusal and change the plan or the site's policy.",
    ),
    "run/ledger-busy": Code(
        meaning="Another process carries out a run of this coordinator, or wrote into its ledger.",
        remedy="Let one run of a federation end, or stop its process, before the next.",
    ),
    "run/output": Code(
        meaning="The folder for a new run is not empty.",
        remedy="Name an empty folder, or continue the run in it with --resume.",
    ),
    "run/folder": Code(
        meaning="The folder is not a coordinator's, or a stored sum is not the one in the ledger.",
        remedy="Point at the coordinator's folder of a run, unchanged since it was written.",
    ),
    "run/resume": Code(
        meaning="There is no unfinished run to go on with.",
        remedy="Resume in the folder of an unfinished run, with the same plan and data.",
    ),
    "run/too-small": Code(
        meaning="After the division some site has no users to train on.",
        remedy="Use fewer sites, so that each has users to train on.",
    ),
    "gateway/members": Code(
        meaning="The gateway's list of members cannot be read, or is of another version.",
        remedy="Restore the members' list; approve a site again to have it written anew.",
    ),
    "gateway/upstream": Code(
        meaning="The SuperLink's address is not one of loopback.",
        remedy="Let the SuperLink listen on 127.0.0.1 or ::1, behind the gateway.",
    ),
    "gateway/not-a-member": Code(
        meaning="The certificate shown is no present member's, or the list of members cannot be "
        "read.",
        remedy="Approve the site, or give it a certificate for its present node key: no present "
        "member has the key in the certificate that it showed.",
    ),
    "gateway/no-such-call": Code(
        meaning="The call is none of those that a site needs, or there is no such release.",
        remedy="Use the agent of this version; sites can reach nothing else here.",
    ),
    "gateway/other-node": Code(
        meaning="The call is for another node key than the certificate's.",
        remedy="Start the agent with the node key that its certificate was issued for.",
    ),
    "gateway/not-yours": Code(
        meaning="The call concerns a run, a message or an object that was not delivered to this "
        "site.",
        remedy="Nothing to do after a restart of the gateway: the message is given up. Otherwise "
        "ask the site's operator what runs there.",
    ),
    "gateway/clock": Code(
        meaning="The time in a call differs from the coordinator's by more than Flower accepts.",
        remedy="Set the clocks of both hosts by NTP: a call may be 5 s ahead of the coordinator's "
        "clock and 305 s behind.",
    ),
    "gateway/malformed": Code(
        meaning="A call is not in the form that the agent sends.",
        remedy="Update the older side: both must speak the same version of Flower.",
    ),
    "gateway/too-large": Code(
        meaning="A call or its answer has more bytes than the gateway lets through.",
        remedy="Plan a smaller model, or raise the gateway's limit.",
    ),
    "gateway/too-many-calls": Code(
        meaning="One site's calls came faster than the gateway allows.",
        remedy="Let one agent run for each site; or raise the gateway's limit.",
    ),
    "gateway/range": Code(
        meaning="The part asked for of a file is not one range of bytes within it.",
        remedy="Ask for bytes that the file has, in one range; the agent does.",
    ),
    "gateway/slow-body": Code(
        meaning="A call's body did not arrive in time.",
        remedy="Improve the site's connection, or raise the gateway's limit.",
    ),
    "gateway/upstream-away": Code(
        meaning="The SuperLink cannot be reached behind the gateway.",
        remedy="See the SuperLink's log; the supervisor starts it again.",
    ),
    "gateway/upstream-slow": Code(
        meaning="The SuperLink did not answer the gateway in time.",
        remedy="See the SuperLink's log, and whether the coordinator's disk is slow.",
    ),
    "agent/credentials": Code(
        meaning="The site's node key, certificate or authority cannot be read, or they do not fit "
        "each other.",
        remedy="Enrol the site, or put node.key, node.pem and authority.pem into its folder as "
        "enrolment wrote them.",
    ),
    "agent/connection": Code(
        meaning="The site's connection.toml cannot be read, or a field in it is not as required.",
        remedy="Correct the named field of the site's connection.toml.",
    ),
    "agent/running": Code(
        meaning="An agent already runs in this folder.",
        remedy="Stop the other agent of this folder first: two would speak for one site.",
    ),
    "agent/unreachable": Code(
        meaning="The coordinator's gateway does not answer.",
        remedy="Check the address, DNS, firewall and proxy; the agent keeps trying.",
    ),
    "agent/tls": Code(
        meaning="The TLS connection to the gateway failed.",
        remedy="Compare the coordinator's certificate, this site's, and both clocks: one of the "
        "certificates is expired, foreign or for another name.",
    ),
    "agent/clock": Code(
        meaning="The gateway turns the site away because their clocks differ.",
        remedy="Set this host's clock by NTP; `recommons site check` says by how much it differs. "
        "The agent connects by itself once the clocks agree.",
    ),
    "agent/turned-away": Code(
        meaning="The gateway answered and did not let this site in.",
        remedy="Ask the coordinator's operator whether this site is approved; its log holds the "
        "reason.",
    ),
    "agent/lease": Code(
        meaning="The coordinator still counts an earlier agent of this site as connected, or has "
        "only just started and does not know its sites yet.",
        remedy="Nothing to do: the agent tries again, and is taken when the earlier lease has "
        "ended or the coordinator has read its list of sites.",
    ),
    "agent/run-over": Code(
        meaning="The coordinator no longer wants the reply, or the run is over.",
        remedy="Nothing to do: the run ended before this site's reply.",
    ),
    "agent/message-type": Code(
        meaning="A message came of a type that this site does not answer.",
        remedy="Ask the coordinator's operator what it runs: this site answers the messages of "
        "Recommons alone.",
    ),
    "agent/message": Code(
        meaning="A message or an answer of the coordinator could not be put together.",
        remedy="Ask the coordinator's operator what it runs: a message was not whole.",
    ),
    "agent/bundle": Code(
        meaning="The run carries code of another bundle than the empty one, and the site refused "
        "it.",
        remedy="Ask the coordinator's operator why it sends another bundle than the empty one of "
        "Recommons. Nothing of it was fetched or run.",
    ),
    "site/silent": Code(
        meaning="Nothing was heard of a run for as long as the budget's window, so the site ended "
        "it.",
        remedy="Start a new run: nothing was heard of this one for the whole window of the site's "
        "budget.",
    ),
    "site/attempt-expired": Code(
        meaning="More than seven days have passed since this site advertised for the attempt.",
        remedy="Start a new attempt: a site takes no step of one that it has advertised for more "
        "than seven days ago.",
    ),
    "site/superseded": Code(
        meaning="A newer attempt has taken this one's place.",
        remedy="Nothing to do: the coordinator opened a new attempt and this one ended.",
    ),
    "site/folder": Code(
        meaning="The folder is not a site's, or a file in it is not as it must be.",
        remedy="Point at a site folder made by `recommons simulate` or at enrolment.",
    ),
    "site/message": Code(
        meaning="A message between coordinator and site cannot be read, or is of another version.",
        remedy="Update the older side: both must speak the same version of the messages.",
    ),
    "site/data": Code(
        meaning="The site's own data cannot be read; which fault it is stays with the site.",
        remedy="Read the site's own log: its data cannot be read.",
    ),
    "site/catalogue": Code(
        meaning="The file of the public catalogue is not where `site.json` says, or cannot be "
        "read.",
        remedy="Start the agent, which fetches it where the coordinator offers one; or put the "
        "federation's catalogue there, the same file as at every site. The operator makes it by "
        "`recommons catalogue ITEMS HOME/catalogue.json`.",
    ),
    "site/busy": Code(
        meaning="A run is open at the site, which the change would end.",
        remedy="Wait until the run is over: `recommons site status` shows it.",
    ),
    "site/locked": Code(
        meaning="Another process holds the site's database, for longer than a step waits for it.",
        remedy="Wait until the other `recommons` command, the backup or whatever else has "
        "`site.db` open is done, or stop it. Nothing is lost: the agent goes on by itself.",
    ),
    "site/disk": Code(
        meaning="The site's disk is full, or takes no more for another reason; a step that cannot "
        "be written down is not taken.",
        remedy="Make room on the disk of the site's folder. Nothing is lost: the site takes part "
        "again by itself.",
    ),
    "site/database": Code(
        meaning="The tables of the site's database are of another version than this program's.",
        remedy="Start the version of Recommons that made `site.db`, let its runs end, and follow "
        "docs/versions.md to upgrade. Never restore an older copy of the folder instead.",
    ),
    "site/old-backup": Code(
        meaning="The site's database lacks lines of its ledger that were written before: it was "
        "restored from a backup.",
        remedy="The folder is older than what this site has written. Put the newest copy of the "
        "folder in its place; docs/ledger.md says what to do where there is none.",
    ),
    "site/earlier-ledger": Code(
        meaning="Others hold lines of a ledger that a site of this name had under another key: "
        "what it spent on its users is not known here.",
        remedy="Join again in the folder of then, if there is one. If it is lost, or its key was "
        "stolen, give `recommons site clear-halt --lost-for-good`: every user counts as spent "
        "until the policy's window has passed. If there never was such a folder, report it.",
    ),
    "site/paused": Code(
        meaning="The site's operator has paused it.",
        remedy="Go on without the site, or ask its operator to give `recommons site resume`.",
    ),
    "site/halted": Code(
        meaning="The site lost lines of its ledger and takes no part until its operator clears the "
        "halt.",
        remedy="The site was restored from an old backup. Put the newest copy of its folder in "
        "place; where there is none, see `recommons site clear-halt --help`.",
    ),
    "site/run-ended": Code(
        meaning="The run has ended at this site.",
        remedy="Start a new run: this one has ended.",
    ),
    "site/not-joined": Code(
        meaning="A round came of a run that this site has not joined.",
        remedy="Announce the run's plan to this site before its first round.",
    ),
    "site/context-used": Code(
        meaning="The round and attempt were used before at this site.",
        remedy="Start a new attempt: a context opens at most one sum, ever.",
    ),
    "site/step-order": Code(
        meaning="A step came before the one that precedes it, or after the attempt was over.",
        remedy="Send the steps of a round in their order, each once.",
    ),
    "site/repeated-step": Code(
        meaning="A step came again with other content than the first time.",
        remedy="Repeat a request with the very same bytes, or start a new attempt.",
    ),
    "site/budget": Code(
        meaning="The run has opened more attempts than its plan paid for.",
        remedy="The run has used all attempts its plan paid for; start a run with a new plan.",
    ),
    "site/internal": Code(
        meaning="A fault inside the site; its text stays in the site's log.",
        remedy="Read the site's own log; nothing about the fault leaves the site.",
    ),
}
