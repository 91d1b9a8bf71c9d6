"""Codes of what an audit finds, beside those of ledgers."""

from recommons.common.codes.code import Code

__all__ = ["AUDIT"]

AUDIT: dict[str, Code] = {
    # What was given.
    "audit/trust": Code(
        meaning="The document given as trusted cannot be read, or is none that can be.",
        remedy="Give --trust the federation.json, signed roster or roster that was compared out of "
        "band.",
    ),
    "audit/path": Code(
        meaning="A file or folder that was named is not there.",
        remedy="Name files and folders that are there.",
    ),
    "audit/unreadable": Code(
        meaning="A file that was to be audited cannot be read.",
        remedy="Make the file readable, or give a copy of it that is a plain file.",
    ),
    "audit/not-a-ledger": Code(
        meaning="A file holds neither a ledger nor receipts.",
        remedy="Give ledgers and receipts as `recommons site ledger export` and `recommons "
        "coordinator ledger export` write them.",
    ),
    "audit/empty": Code(
        meaning="A file holds nothing.",
        remedy="Ask whoever gave the file for it again: it holds nothing.",
    ),
    "audit/no-ledgers": Code(
        meaning="No ledger was given.",
        remedy="Give at least one ledger, or a folder that holds one.",
    ),
    "audit/missing-ledger": Code(
        meaning="The ledger of a party that took part was not given, or the one given does not "
        "hold.",
        remedy="Ask the named party for its ledger and receipts, and audit again with them.",
    ),
    "audit/duplicate-ledger": Code(
        meaning="A file holds nothing that a longer copy does not.",
        remedy="Nothing to do: the longer of the two files was read.",
    ),
    "audit/many-findings": Code(
        meaning="More findings of one code were made than are listed.",
        remedy="Deal with the findings that are listed, then audit again.",
    ),
    # Keys and rosters.
    "audit/keys-not-pinned": Code(
        meaning="No pinned document vouches for the federation's key: the ledgers only agree on "
        "it.",
        remedy="Compare the fingerprint with the federation's operator over the telephone, or "
        "audit again with --trust federation.json.",
    ),
    "audit/no-key": Code(
        meaning="Nothing given says which key is the coordinator's.",
        remedy="Give --trust federation.json, or a site's ledger, which names the key.",
    ),
    "audit/no-roster": Code(
        meaning="No document given holds the roster that this entry rests on.",
        remedy="Give --trust a pinned roster, or a ledger that holds the roster.",
    ),
    "audit/roster": Code(
        meaning="An entry's roster is not a signed one of the federation, or does not list the "
        "site with its key.",
        remedy="Ask the writer how it came to hold this roster: it is not one that makes it a "
        "member.",
    ),
    "audit/roster-signature": Code(
        meaning="A roster is not signed by the federation key that the line names.",
        remedy="Trust nothing signed under this roster: the federation's key did not sign it.",
    ),
    "audit/roster-epoch": Code(
        meaning="A roster took effect that is not later than the one before, or under another "
        "epoch's number.",
        remedy="Ask the writer why epochs do not rise in its ledger.",
    ),
    "audit/roster-approval": Code(
        meaning="A roster took effect in another way than the site's policy allows, or with too "
        "few approvals.",
        remedy="Ask the site's operator how this roster took effect: its policy then wanted "
        "another way, or the approvals in the entry are not those of most sites.",
    ),
    "audit/earlier-ledger": Code(
        meaning="A site of this name had another ledger before, under another key.",
        remedy="Ask the site for its earlier ledger, and audit the two together: each alone tells "
        "a part of what was released about its users.",
    ),
    "audit/head-forgotten": Code(
        meaning="The site's operator had it forget a head it held of another writer.",
        remedy="Ask the site's operator why: it is right after that writer was restored from an "
        "old backup, which its own ledger then says.",
    ),
    "audit/roster-split": Code(
        meaning="Two different rosters of one epoch are signed.",
        remedy="Find out who signed two rosters of one epoch: whoever holds the federation's key "
        "can show parties different members.",
    ),
    "audit/other-federation": Code(
        meaning="A ledger names another federation or federation key than the others.",
        remedy="Audit the ledgers of one federation at a time, or find out who gave this party "
        "another federation key.",
    ),
    "audit/other-coordinator": Code(
        meaning="A site has pinned another coordinator key than the others.",
        remedy="Find out who gave this site another coordinator key: it may have taken part in "
        "runs that the others know nothing of.",
    ),
    "audit/unknown-writer": Code(
        meaning="A ledger's writer is on no roster of the federation.",
        remedy="Take the file out, or find out why its writer is on no roster.",
    ),
    # Ledgers against one another.
    "audit/unanchored": Code(
        meaning="No other party's record covers the last lines of a ledger, so that they could be "
        "cut off unseen.",
        remedy="Add the ledger and receipts of another party: the coordinator's, or a site's of "
        "the same run.",
    ),
    "audit/receipt": Code(
        meaning="A receipt cannot be read, is not signed by the coordinator, or does not fit its "
        "ledger.",
        remedy="Ask the file's owner for its receipts again; if they are as they were, the "
        "coordinator issued one that does not fit its ledger.",
    ),
    "audit/receipt-missing": Code(
        meaning="A site revealed its shares, and the receipt it needed for that is not there.",
        remedy="Ask the site for its whole file of receipts.",
    ),
    "audit/head-signature": Code(
        meaning="A head in a receipt is not signed by its writer.",
        remedy="Ask the file's owner how it came by a head that its writer never signed.",
    ),
    "audit/head-place": Code(
        meaning="A head that the coordinator holds is not the line on which the site masked its "
        "vector.",
        remedy="Ask the site what its ledger said when it sent its vector: it is not what it says "
        "now.",
    ),
    "audit/plan-differs": Code(
        meaning="Two parties tell of different plans for one run or attempt.",
        remedy="Compare the plans: parties were shown different ones for one run.",
    ),
    "audit/survivors-differ": Code(
        meaning="Two parties tell of different survivors or certificates for one attempt.",
        remedy="Stop the federation's runs until this is explained: sites that are shown different "
        "sets of survivors can be made to reveal a single site's sum.",
    ),
    "audit/vector-differs": Code(
        meaning="The vector that the coordinator summed is not the one the site says it sent.",
        remedy="Ask both: the coordinator summed something else than the site sent.",
    ),
    "audit/unrecorded": Code(
        meaning="A site tells of a run or an attempt that the coordinator's ledger lacks.",
        remedy="Ask the coordinator why its ledger is silent about what this site did.",
    ),
    "audit/unadmitted": Code(
        meaning="The coordinator tells of what a site sent, and the site's ledger does not.",
        remedy="Ask the site why its ledger is silent about what it sent.",
    ),
    "audit/uncounted-attempt": Code(
        meaning="Vectors left the sites in an attempt for which nothing is charged.",
        remedy="Count the attempt: vectors had left when it came to nothing, and the claims leave "
        "it out.",
    ),
    # Certificates.
    "audit/certificate": Code(
        meaning="The hash in an entry is not that of the certificate it describes.",
        remedy="Ask the coordinator for the certificate itself; its entry describes another one.",
    ),
    "audit/quorum": Code(
        meaning="Too few survivors signed the certificate, someone else did, or a signature does "
        "not hold.",
        remedy="Treat the sum as opened without the sites' consent: no quorum signed.",
    ),
    "audit/survivors": Code(
        meaning="The sets of sites of an attempt are too small or do not fit one another, or its "
        "certificate is missing or there twice.",
        remedy="Treat the sum as opened against the protocol: the sets of sites are not what it "
        "permits.",
    ),
    # Rules.
    "audit/misplaced": Code(
        meaning="A ledger holds a kind of entry that its writer's role does not write.",
        remedy="Ask the writer for its ledger again: the entry is another role's.",
    ),
    "audit/not-joined": Code(
        meaning="An entry tells of a run that has no plan in this ledger.",
        remedy="Ask the writer what run this was: nobody agreed to it.",
    ),
    "audit/not-reserved": Code(
        meaning="An entry tells of an attempt that was not opened, or reserved, before.",
        remedy="Count what was sent as spent: it left without being reserved.",
    ),
    "audit/after-end": Code(
        meaning="An entry goes on with a run or an attempt that was over.",
        remedy="Ask the writer what happened: it went on after it had said it was over.",
    ),
    "audit/run-repeated": Code(
        meaning="A run begins or ends twice.",
        remedy="Ask the writer how one run could begin or end twice.",
    ),
    "audit/context": Code(
        meaning="The context of an entry is not that of this attempt of this plan.",
        remedy="Ask the writer which plan this was: the context is of another.",
    ),
    "audit/context-used": Code(
        meaning="An attempt was begun, or a vector masked in it, a second time.",
        remedy="Treat the sites' vectors of this attempt as open: masks were used twice.",
    ),
    "audit/attempts": Code(
        meaning="An attempt goes beyond the plan's spare ones.",
        remedy="Count the attempt; the site should have refused it.",
    ),
    "audit/canaries": Code(
        meaning="The canaries' seed was not fixed before the first round, or was shown before the "
        "last.",
        remedy="Rely on no figure of this empirical audit: its coins were not fixed before the "
        "run, or were known during it.",
    ),
    "audit/events": Code(
        meaning="The releases or rounds of an entry are not those of the plan.",
        remedy="Count what the entry says: it is not what the plan allowed.",
    ),
    "audit/plan": Code(
        meaning="A plan in the ledger cannot be read or carried out.",
        remedy="Ask the coordinator for a plan of this version that can be carried out.",
    ),
    "audit/plan-roster": Code(
        meaning="A plan, or an attempt of it, rests on another roster than the one in force.",
        remedy="Ask the site which roster it had pinned when it took part.",
    ),
    "audit/plan-cohort": Code(
        meaning="The plan's cohort does not name this site, or names sites that are not on the "
        "roster.",
        remedy="Ask the coordinator why the cohort is not of the roster.",
    ),
    "audit/policy": Code(
        meaning="A site took part in what its policy in force does not allow.",
        remedy="Tell the site's privacy officer: the site did what its policy forbids.",
    ),
    "audit/policy-document": Code(
        meaning="A policy in the ledger cannot be read, or is not the one that its hash names.",
        remedy="Ask the site for its policy as it was.",
    ),
    "audit/no-policy": Code(
        meaning="No policy that can be read was in force when the site accepted a plan.",
        remedy="Ask the site which policy was in force.",
    ),
    "audit/verified-peers": Code(
        meaning="Too few peers that the site had verified were among the survivors.",
        remedy="Tell the site's privacy officer: too few peers whose keys were compared took part.",
    ),
    "audit/halted": Code(
        meaning="A site went on while it was halted, or cleared its halt against the rules.",
        remedy="Ask the site who let it go on after lines of its ledger were lost.",
    ),
    "audit/old-backup": Code(
        meaning="A site lost lines of its ledger that others hold, and says so.",
        remedy="Ask the site for the ledger it had before it restored a backup; without it, what "
        "it spent in the meantime cannot be told.",
    ),
    "audit/clock": Code(
        meaning="The times in a ledger go backwards.",
        remedy="Ask the site about its clock: windows of budgets rest on it.",
    ),
    "audit/unfinished-run": Code(
        meaning="A run has not ended in the ledger.",
        remedy="Audit again when the run has ended.",
    ),
    "audit/took-no-part": Code(
        meaning="A site of the cohort sent nothing, as far as the ledgers given tell.",
        remedy="Nothing to do, unless the named site should have taken part.",
    ),
    # Budgets and guarantees.
    "audit/plan-claim": Code(
        meaning="The plan claims a smaller ε than its releases and spare attempts come to.",
        remedy="Read the plan's figure as the recomputed one; have the coordinator calibrate "
        "again.",
    ),
    "audit/release-claim": Code(
        meaning="A release claims a smaller ε than its run's sums come to, or a δ that its plan "
        "does not promise.",
        remedy="Read the release's figure as the recomputed one.",
    ),
    "audit/spent-over-plan": Code(
        meaning="A run spent more than its plan promises.",
        remedy="Tell the sites: more was spent than the plan they agreed to.",
    ),
    "audit/budget": Code(
        meaning="A user was charged more than the site's policy allows.",
        remedy="Tell the site's privacy officer: users were charged more than the policy allows.",
    ),
    "audit/budget-unnoticed": Code(
        meaning="Users were over the cap, and the ledger does not say that they were left out.",
        remedy="Ask the site whether users over the cap took part.",
    ),
    "audit/budget-overcautious": Code(
        meaning="Users were left out whose budget held the plan.",
        remedy="Nothing to do: users were left out who could have taken part.",
    ),
    "audit/accountants-disagree": Code(
        meaning="Another accountant's ε of the same releases cannot be true beside the audit's.",
        remedy="Rely on no ε of these releases before the cause is found; please report it with "
        "the ledgers: one of the accountants is wrong.",
    ),
    "audit/no-guarantee": Code(
        meaning="The plan adds no noise.",
        remedy="Use such a run only where everybody's data may be revealed.",
    ),
    "audit/unknown-event": Code(
        meaning="A release is of a type that this version cannot account for.",
        remedy="Audit with a version of Recommons that knows this type of release.",
    ),
    "audit/unknown-entry": Code(
        meaning="An entry is of a kind or version that this version does not know.",
        remedy="Audit with a version of Recommons that knows this kind of entry.",
    ),
}
