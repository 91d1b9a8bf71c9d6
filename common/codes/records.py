"""Codes of what is kept and handed on: ledgers, releases, reports."""

from recommons.common.codes.code import Code

__all__ = ["RECORDS"]

RECORDS: dict[str, Code] = {
    "ledger/not-canonical": Code(
        meaning="A line is not one JSON object in canonical form (RFC 8785).",
        remedy="Restore the ledger file as its writer wrote it; do not reformat it.",
    ),
    "ledger/schema": Code(
        meaning="A line's version, kind or a field is unknown, missing or of another type.",
        remedy="Read the ledger with a version of Recommons that knows its entries.",
    ),
    "ledger/foreign-writer": Code(
        meaning="A line is another writer's.",
        remedy="Keep one ledger a writer; take the other writer's lines out.",
    ),
    "ledger/foreign-signature": Code(
        meaning="A line is signed by another key than its writer's.",
        remedy="Ask the writer for its own ledger, and check the roster's key.",
    ),
    "ledger/changed": Code(
        meaning="A line is not the one that its writer signed.",
        remedy="Ask the writer for its ledger again: the named line was altered.",
    ),
    "ledger/gap": Code(
        meaning="Lines are missing before this one.",
        remedy="Ask the writer for the missing lines.",
    ),
    "ledger/reordered": Code(
        meaning="A line stands before one that it follows.",
        remedy="Ask the writer for its ledger again: the lines are out of order.",
    ),
    "ledger/duplicate": Code(
        meaning="A line stands in the ledger twice.",
        remedy="Ask the writer for its ledger again: a line stands in it twice.",
    ),
    "ledger/fork": Code(
        meaning="A second line for one place, or one that does not follow on the line before: two "
        "histories.",
        remedy="Stop trusting this writer until it explains its two histories.",
    ),
    "ledger/truncated": Code(
        meaning="The ledger ends before a line that others hold, or in the middle of one.",
        remedy="Ask the writer for the lines after the last; if it restored an old backup, it must "
        "not go on from there.",
    ),
    "ledger/rollback": Code(
        meaning="A writer shows a head that is not later than one it signed before.",
        remedy="A writer shows an earlier head than it has signed: it lost lines, or keeps two "
        "histories. Ask it, and compare its ledger with the heads others hold. Only when its "
        "operator has said why: `recommons site forget-head`.",
    ),
    "ledger/head": Code(
        meaning="A signed head cannot be read, or its signature is not its writer's.",
        remedy="The head is not signed by its writer: compare its key with the roster's.",
    ),
    "ledger/receipt": Code(
        meaning="A receipt cannot be read, is not signed by the coordinator, or is of another "
        "attempt.",
        remedy="The receipt is not the coordinator's for this attempt and these survivors: update "
        "the coordinator, or report it to the federation.",
    ),
    "release/missing": Code(
        meaning="There is no released model at the path, or no release of this number.",
        remedy="Point at a joined site's folder, or at one that `recommons simulate` wrote; "
        "`recommons site model list` shows a site's releases.",
    ),
    "release/corrupt": Code(
        meaning="A released model's file is missing, damaged or not the one that was signed for.",
        remedy="Fetch or train the model again; its files are not those that were written.",
    ),
    "release/signature": Code(
        meaning="A release is not signed by the coordinator that this site has pinned.",
        remedy="Do not use it: ask the coordinator's operator where it comes from.",
    ),
    "release/history": Code(
        meaning="A release does not follow on the one before it, or a run published two models.",
        remedy="Do not use it: ask the coordinator's operator why releases were taken back or "
        "replaced; a home restored from an old backup lacks the latest.",
    ),
    "release/catalogue": Code(
        meaning="The release is over another catalogue than the site's own copy.",
        remedy="Put the catalogue's document of the release's plan into the site's folder, or "
        "serve a release over the site's own: `recommons recommend DIR --release NNN`.",
    ),
    "release/none": Code(
        meaning="The site has received no release yet.",
        remedy="Wait until a run of the federation has finished, with the agent running.",
    ),
    "release/disk": Code(
        meaning="The disk has no room for the model.",
        remedy="Make room on the disk of the site's folder; the download goes on by itself.",
    ),
    "release/version": Code(
        meaning="The released model is of a newer version than this one reads.",
        remedy="Install the version of recommons that wrote the model, or a newer one.",
    ),
    "report/invalid": Code(
        meaning="The file is not a report of this version.",
        remedy="Point at the report.json of a run of this version of recommons.",
    ),
}
