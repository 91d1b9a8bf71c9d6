"""Codes of founding, joining and the rules by which a site takes part."""

from recommons.common.codes.code import Code

__all__ = ["MEMBERSHIP"]

MEMBERSHIP: dict[str, Code] = {
    "federation/passphrase": Code(
        meaning="The passphrase is too short, or does not open the sealed key, or the file was "
        "altered.",
        remedy="Give the passphrase that `recommons federation init` was given, by prompt, "
        "--passphrase-file or RECOMMONS_FEDERATION_PASSPHRASE; it cannot be recovered.",
    ),
    "federation/key": Code(
        meaning="The federation's sealed key is not at the path, or is another federation's.",
        remedy="Name the federation's sealed key with --key, where it was moved away from the "
        "home.",
    ),
    "federation/database": Code(
        meaning="The tables of the federation's record are of another version than this program's.",
        remedy="Start the version of Recommons that made `enrolment.db`, and follow "
        "docs/versions.md to upgrade.",
    ),
    "federation/name": Code(
        meaning="The name of the federation or of a site is not an identifier, or is reserved.",
        remedy="Name the federation and its sites by 1 to 64 of a-z, 0-9, '.', '_' and '-', "
        "beginning and ending with a letter or digit.",
    ),
    "federation/address": Code(
        meaning="An address holds a scheme or a path.",
        remedy="Give host names or addresses by which sites reach the coordinator, without scheme "
        "or port.",
    ),
    "federation/no-request": Code(
        meaning="No request of this site waits for a decision.",
        remedy="Look at `recommons federation requests`: no request of that name waits.",
    ),
    "federation/not-a-member": Code(
        meaning="The site is neither on the roster nor invited, or is no peer of this site.",
        remedy="Look at `recommons federation status` for the members' names.",
    ),
    "federation/fingerprint": Code(
        meaning="The request waiting has another key than the one whose fingerprint was given.",
        remedy="Approve only the fingerprint that the site's operator reads to you; another one "
        "was asked for.",
    ),
    "federation/policy": Code(
        meaning="The policy that the federation proposes to new sites cannot be read.",
        remedy="Correct the named fields of policy.toml in the federation's home.",
    ),
    "enrolment/token": Code(
        meaning="The line is no invitation of this version, or not all of it.",
        remedy="Copy the whole line that the federation's operator sent, or ask for a new "
        "invitation.",
    ),
    "enrolment/unknown": Code(
        meaning="The desk knows no such invitation, or the caller could not prove that it holds "
        "it.",
        remedy="Ask the federation's operator for a new invitation: this one was withdrawn, or is "
        "another federation's.",
    ),
    "enrolment/expired": Code(
        meaning="The invitation's time is over.",
        remedy="Ask the federation's operator for a new invitation.",
    ),
    "enrolment/token-used": Code(
        meaning="The invitation was used before, with other keys.",
        remedy="Continue in the folder in which the invitation was used first; if that was not "
        "yours, tell the federation's operator at once and ask for a new invitation.",
    ),
    "enrolment/other-site": Code(
        meaning="The request is for another site or federation than the invitation.",
        remedy="Join under the name that the invitation is for.",
    ),
    "enrolment/name-taken": Code(
        meaning="A member has this name with another key, or another request under it waits.",
        remedy="Ask the federation's operator for an invitation under another name.",
    ),
    "enrolment/key-taken": Code(
        meaning="Another site has, or asks for, one of the keys shown.",
        remedy="Make new keys: another site of the federation has one of these.",
    ),
    "enrolment/rejected": Code(
        meaning="The federation's operator has turned the request down.",
        remedy="Ask the federation's operator why the request was turned down.",
    ),
    "enrolment/message": Code(
        meaning="A message between site and coordinator about membership cannot be read, or is of "
        "another version.",
        remedy="Update the older side: site and coordinator must speak one version.",
    ),
    "enrolment/too-large": Code(
        meaning="A call to the enrolment desk has more bytes than it takes.",
        remedy="Use the site's own software of this version: the call is too large.",
    ),
    "enrolment/too-many-calls": Code(
        meaning="Calls from this address came faster than the desk allows.",
        remedy="Wait a minute; `recommons site join` does so by itself.",
    ),
    "enrolment/unreachable": Code(
        meaning="The enrolment desk did not answer, or answered with an error that has no code.",
        remedy="Check address, DNS, firewall and proxy, and that the coordinator runs; then run "
        "the same command again.",
    ),
    "enrolment/authority": Code(
        meaning="The authority's certificate is not the invitation's, or the desk's is not the "
        "authority's.",
        remedy="If the message speaks of a clock, set this host's by NTP. Otherwise do not go on: "
        "somebody answers in the coordinator's place. Compare the invitation with the federation's "
        "operator.",
    ),
    "enrolment/federation-key": Code(
        meaning="The desk, or this folder, is of another federation than the invitation.",
        remedy="Do not go on: the desk speaks for another federation than the invitation. Tell the "
        "federation's operator.",
    ),
    "enrolment/certificate": Code(
        meaning="What came is no certificate, or one for another key than this site's.",
        remedy="Ask the federation's operator to approve the request again: the certificate is not "
        "for this site's key.",
    ),
    "enrolment/waiting": Code(
        meaning="The request has not been decided within the time that the command waits.",
        remedy="Run the same command again when the operator has approved the request.",
    ),
    "enrolment/joined": Code(
        meaning="The folder has joined another federation.",
        remedy="Nothing to do: the folder is that of a joined site. Name another folder for "
        "another site.",
    ),
    "enrolment/folder": Code(
        meaning="The path is a file, or another site's folder.",
        remedy="Name an empty folder, or the one in which this invitation was used.",
    ),
    "enrolment/declined": Code(
        meaning="This site's operator did not consent to the roster.",
        remedy="Nothing was pinned. Run the command again to consent.",
    ),
    "enrolment/users": Code(
        meaning="A site joins without being asked, and its number of users was not given.",
        remedy="Give --users: the number of the site's users, rounded.",
    ),
    "enrolment/check": Code(
        meaning="A check before joining failed.",
        remedy="Mend what is marked FAIL as its remedy says, then run the command again.",
    ),
    "roster/file": Code(
        meaning="A file of a roster's epoch cannot be read, or is not in its canonical form.",
        remedy="Use the file of the new epoch as the federation or another site gave it.",
    ),
    "roster/signature": Code(
        meaning="A roster is not signed by the federation's key.",
        remedy="Do not accept it: ask the federation who signed this roster.",
    ),
    "roster/epoch": Code(
        meaning="A roster is of another federation, or not later than the pinned one.",
        remedy="Use a roster of this federation that is later than the pinned one.",
    ),
    "roster/own-entry": Code(
        meaning="The roster does not list this site with its own key.",
        remedy="Ask the federation to put this site on the roster with its present key.",
    ),
    "roster/none-waits": Code(
        meaning="A roster was to be accepted, and none waits at this site.",
        remedy="Nothing to do; or name the file of an epoch that you were sent.",
    ),
    "roster/not-approved": Code(
        meaning="A new roster has neither its operator's word nor the approvals that the policy "
        "asks for.",
        remedy="Look at what changes and accept it by hand, or gather approvals with `recommons "
        "site roster approve` where the policy says by-majority.",
    ),
    "policy/invalid": Code(
        meaning="The site's policy is not TOML or JSON, or a field in it is not as required.",
        remedy="Correct the named fields of the site's policy.toml; `recommons site policy check` "
        "reads it without any effect.",
    ),
    "policy/model": Code(
        meaning="The policy does not list the plan's model.",
        remedy="Train a model the policy lists, or add the model to the site's policy.",
    ),
    "policy/plan-hash": Code(
        meaning="The policy lists the plans it allows, and this is none of them.",
        remedy="Add the plan's hash to plans.hashes in the policy, or clear that list.",
    ),
    "policy/epsilon": Code(
        meaning="The plan costs a larger ε than the policy allows a user.",
        remedy="Ask for a plan with a smaller epsilon, or raise budget.epsilon.",
    ),
    "policy/delta": Code(
        meaning="The plan's δ is larger than the policy allows.",
        remedy="Ask for a plan with a smaller delta, or raise budget.delta in the policy.",
    ),
    "policy/rounds": Code(
        meaning="The plan has more rounds than the policy allows.",
        remedy="Ask for a plan with fewer rounds, or raise plans.most_rounds in the policy.",
    ),
    "policy/spare-attempts": Code(
        meaning="The plan has more spare attempts than the policy allows.",
        remedy="Ask for a plan with fewer spare attempts, or raise plans.most_spare_attempts in "
        "the policy.",
    ),
    "policy/peer-fingerprint": Code(
        meaning="A peer's key on the roster is not the one that was verified out of band.",
        remedy="Do not take part: a site's key is not the one you verified. Call the site; if it "
        "has a new key, verify that and correct peers.verified.",
    ),
    "policy/verified-peers": Code(
        meaning="The cohort has too few peers whose keys were verified, or that rule has changed "
        "since the attempt began.",
        remedy="Compare fingerprints with more peers and add them to peers.verified, or lower "
        "peers.least_verified_survivors; then open a new attempt.",
    ),
    "policy/survivors": Code(
        meaning="The plan opens sums over fewer sites than the policy allows.",
        remedy="Ask for a plan with larger min_survivors.",
    ),
    "policy/colluding": Code(
        meaning="The plan assumes fewer colluding sites than the policy requires.",
        remedy="Ask for a plan that assumes at least as many colluding sites.",
    ),
    "policy/own-users": Code(
        meaning="This site declares fewer users than its policy requires for taking part.",
        remedy="Take part once the site has more users of its own.",
    ),
    "policy/catalogue": Code(
        meaning="The catalogue was read off the sites' events, which the policy refuses.",
        remedy="Publish a catalogue, or accept an inferred one in the policy.",
    ),
    "policy/spent": Code(
        meaning="All plans of the policy's window together would exceed a user's budget.",
        remedy="Wait until earlier plans have left the window, raise budget.epsilon, or let "
        "budget.when_exhausted leave users out; what was reserved is not handed back.",
    ),
    "policy/upload": Code(
        meaning="A round uploads more bytes than the policy allows.",
        remedy="Ask for a smaller model, or raise plans.largest_upload_bytes.",
    ),
    "authority/key": Code(
        meaning="The certificate authority's key or certificate cannot be read, or they do not "
        "belong together.",
        remedy="Give the authority's own certificate, key and passphrase.",
    ),
    "authority/request": Code(
        meaning="A request for a certificate cannot be read, or is not signed by a P-384 key.",
        remedy="Send the request that `recommons site join` wrote, unchanged.",
    ),
}
