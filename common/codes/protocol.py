"""Codes of what a round is made of: plans, models, secure sums and privacy."""

from recommons.common.codes.code import Code

__all__ = ["PROTOCOL"]

PROTOCOL: dict[str, Code] = {
    # What a cohort can tolerate, checked before anything is sent.
    "secagg/cohort-size": Code(
        meaning="The plan names fewer than 2 or more than 4096 sites.",
        remedy="Name from 2 to 4096 sites in the plan.",
    ),
    "secagg/colluding": Code(
        meaning="The plan assumes more colluding sites than leave two honest ones.",
        remedy="Assume at most N - 2 colluding sites: a sum must hide one honest site behind "
        "another. Add sites or lower c.",
    ),
    "secagg/least-survivors": Code(
        meaning="The least number of survivors is too small for the cohort and its colluders, or "
        "larger than the cohort.",
        remedy="Raise M to at least max(⌊(N + c)/2⌋ + 1, c + 2), or add sites or lower c; N - M "
        "sites may drop out (with N = 3 and c = 1, none may).",
    ),
    "secagg/context": Code(
        meaning="What names an attempt is out of bounds, or is not of the plan's cohort.",
        remedy="Give a federation id, a 16-byte run id, a round, an attempt, an ascending cohort "
        "and two 32-byte hashes that fit the plan.",
    ),
    "secagg/roster": Code(
        meaning="A roster is not in its canonical form, of another version, or not the one that "
        "the attempt names.",
        remedy="Use the roster, in its canonical form, that the federation signed and this site "
        "pinned.",
    ),
    "secagg/signing-key": Code(
        meaning="A public signing key is of low order or misshapen.",
        remedy="Under this key anybody's signature may hold. Have its owner make a new one, and "
        "ask how it came about: no sound software makes such a key.",
    ),
    "secagg/not-in-cohort": Code(
        meaning="A site or a signing key is none of the attempt's cohort.",
        remedy="Name this site in the plan's cohort, or use the signing key that the roster lists "
        "for it.",
    ),
    "secagg/vector": Code(
        meaning="A site gave its part of the protocol a vector of another type or size.",
        remedy="Pass a one-dimensional int64 array of exactly the plan's size.",
    ),
    "secagg/state": Code(
        meaning="A stored round is damaged, of another version, or of another site or attempt.",
        remedy="The stored round cannot be used; let this attempt pass and wait for the next.",
    ),
    # Any message.
    "secagg/malformed": Code(
        meaning="A message of the protocol cannot be read.",
        remedy="Update the side that sent the message, or look for damage in transport.",
    ),
    "secagg/version": Code(
        meaning="A message is of another version of the protocol.",
        remedy="Run the same protocol version at the coordinator and at every site.",
    ),
    "secagg/other-context": Code(
        meaning="A message belongs to another attempt.",
        remedy="The message belongs to another attempt; route messages by context.",
    ),
    "secagg/other-set": Code(
        meaning="A message names another set of sites than the one agreed on.",
        remedy="The sites were told different sets of sites. An honest coordinator does not do "
        "that: report it to the federation.",
    ),
    "secagg/out-of-order": Code(
        meaning="A message of another step came than the one that is due.",
        remedy="Take the steps in order; after a restart resume from the latest state.",
    ),
    "secagg/repeated": Code(
        meaning="The same message was answered before.",
        remedy="Send the stored reply again; nothing is computed twice.",
    ),
    "secagg/sender": Code(
        meaning="A message names another sender than the one it came from.",
        remedy="The message was sent in another site's name: check the site's transport key.",
    ),
    "secagg/signature": Code(
        meaning="The signature under a site's message is not that site's on this content.",
        remedy="The site's signature does not fit: compare its key with the roster and check that "
        "both sides hold the same plan.",
    ),
    # Step 2.
    "secagg/key-signature": Code(
        meaning="An advertised key is not signed by its site.",
        remedy="A key was advertised without its site's signature. Do not continue: report it to "
        "the federation.",
    ),
    "secagg/key-point": Code(
        meaning="An advertised key is a point of low order, with which every secret would be "
        "known.",
        remedy="A site advertised a key that gives no secrecy. Ask its operator what runs there.",
    ),
    "secagg/key-duplicate": Code(
        meaning="One key was advertised twice.",
        remedy="Two sites advertised one key. Ask their operators whether they share an "
        "installation.",
    ),
    "secagg/own-key": Code(
        meaning="The list of keys holds another key for this site than it advertised.",
        remedy="This site's own key was replaced on the way. Do not continue: report it to the "
        "federation.",
    ),
    "secagg/spec": Code(
        meaning="The vector's specification is not the plan's.",
        remedy="The coordinator asked for another vector than the plan's; compare plan hashes.",
    ),
    "secagg/public-state": Code(
        meaning="The public state is not the one that the plan fixes.",
        remedy="The coordinator sent another public state than the pinned one.",
    ),
    "secagg/too-few-sites": Code(
        meaning="Fewer sites answered a step than the plan requires to survive.",
        remedy="Wait until more sites are online, or plan with fewer required survivors; the "
        "attempt can be repeated while attempts are left.",
    ),
    "secagg/not-in-set": Code(
        meaning="This site is not in the set it is asked to go on with.",
        remedy="This site's message came too late for the attempt: raise the deadlines or improve "
        "its connection.",
    ),
    "secagg/verified-peers": Code(
        meaning="Too few peers whose keys this site verified are in the set.",
        remedy="Verify more peers' keys out of band, or lower this site's own requirement.",
    ),
    # Step 4.
    "secagg/inbox-sites": Code(
        meaning="The inbox holds shares of a site that advertised no keys.",
        remedy="Shares came from a site that advertised no keys. Report it to the federation.",
    ),
    "secagg/inbox-signature": Code(
        meaning="A share in the inbox is not signed by its dealer.",
        remedy="Shares were altered after their dealer signed them, or not signed. Report it to "
        "the federation.",
    ),
    "secagg/inbox-ciphertext": Code(
        meaning="A share that its dealer signed does not decrypt.",
        remedy="The named site signed shares that do not open: ask its operator what runs there, "
        "and leave it out of the next cohort.",
    ),
    "secagg/inbox-commitment": Code(
        meaning="A share that its dealer signed is not the one the dealer committed to.",
        remedy="The named site dealt other shares than it committed to: ask its operator what runs "
        "there, and leave it out of the next cohort.",
    ),
    # Steps 5 to 9.
    "secagg/vector-shape": Code(
        meaning="A masked vector has another length or width than the plan's.",
        remedy="The site sent a vector of another size or width than the plan's.",
    ),
    "secagg/quorum": Code(
        meaning="Fewer sites signed the set of survivors than a quorum.",
        remedy="Too few sites signed the set of survivors: raise the deadline, or retry.",
    ),
    "secagg/certificate-signer": Code(
        meaning="The certificate carries a signature of a site that is no survivor.",
        remedy="A signature came from a site that is not a survivor. Report it to the federation.",
    ),
    "secagg/certificate-signature": Code(
        meaning="A signature in the certificate does not hold for this set of survivors.",
        remedy="A signature in the certificate is not on this set of survivors. Report it to the "
        "federation.",
    ),
    "secagg/second-keys": Code(
        meaning="A second, different list of keys came for an attempt.",
        remedy="Two sets of keys came for one context. An honest coordinator does not do that: "
        "report it to the federation.",
    ),
    "secagg/second-inbox": Code(
        meaning="A second, different inbox came for an attempt.",
        remedy="Two inboxes came for one context. An honest coordinator does not do that: report "
        "it to the federation.",
    ),
    "secagg/second-survivors": Code(
        meaning="A second, different set of survivors came for an attempt.",
        remedy="Two sets of survivors came for one context. An honest coordinator does not do "
        "that: report it to the federation.",
    ),
    "secagg/second-certificate": Code(
        meaning="A second, different certificate came for an attempt.",
        remedy="Two certificates came for one context. An honest coordinator does not do that: "
        "report it to the federation.",
    ),
    "secagg/reveal-share": Code(
        meaning="A site revealed another share than the one it had accepted.",
        remedy="The site revealed another share than it had accepted: ask its operator what runs "
        "there.",
    ),
    "secagg/too-few-shares": Code(
        meaning="Fewer sites revealed their shares than are needed to remove the masks.",
        remedy="Too few sites stayed until the end to open the sum: retry.",
    ),
    "secagg/dealer-fault": Code(
        meaning="A site's shares fit its commitments and yet do not give its secret.",
        remedy="The named site dealt shares that do not give its secret: leave it out of the next "
        "cohort and ask its operator what runs there.",
    ),
    "privacy/unknown-event": Code(
        meaning="A release is of a type or version that this version cannot account for.",
        remedy="Use a version of Recommons that knows this type of release.",
    ),
    "privacy/bad-event": Code(
        meaning="A record of a release is not as its type requires.",
        remedy="Restore the record of the release as it was written; do not edit it.",
    ),
    "privacy/bad-spending": Code(
        meaning="A record of what was spent cannot be read.",
        remedy="Restore the site's store as it was written; do not edit what it holds of spent "
        "budgets.",
    ),
    "privacy/unsupported-sampling": Code(
        meaning="The blocks of one attempt are sampled at two rates, or one block twice.",
        remedy="Account for each run by itself, and sample all blocks of an attempt by one draw at "
        "one rate: the guarantee is proved for nothing else.",
    ),
    "privacy/epsilon-unreachable": Code(
        meaning="No noise within the allowed range gives the ε and δ asked for.",
        remedy="Choose ε and δ within what the noise can give: a larger δ, an ε neither tiny nor "
        "huge, fewer blocks, or ε infinite for none.",
    ),
    "privacy/ring-too-small": Code(
        meaning="The sum of all sites' vectors and noise could wrap around in the ring.",
        remedy="Take a wider ring (ring_bits, up to 64), declare fewer users a site, or run with "
        "fewer sites.",
    ),
    "model/unknown": Code(
        meaning="No model of this name is known.",
        remedy="Name one of the models that the message lists.",
    ),
    "model/catalogue-too-large": Code(
        meaning="The catalogue has more items than the model takes.",
        remedy="Choose the model als, or raise the model's limit in the plan.",
    ),
    "model/settings": Code(
        meaning="A setting of the model is unknown, of another type or out of range.",
        remedy="Use the settings of a plan made by this version, unchanged.",
    ),
    "model/unsound-module": Code(
        meaning="A part of the network mixes users or cannot be clipped user by user.",
        remedy="Change the named module as docs/neural-models.md says, so that each user's "
        "gradient can be measured; otherwise nothing bounds what a user adds.",
    ),
    "model/coarse-grid": Code(
        meaning="Rounding to the grid would take more than a fifth of the sensitivity.",
        remedy="Ask for a smaller model, fewer users a round or wider noise: what rounding may add "
        "is too large a part of the sensitivity.",
    ),
    "plan/invalid": Code(
        meaning="A plan is not canonical JSON, of another version, or has a field that is not as "
        "required.",
        remedy="Correct the named fields; docs/plan.md describes every field of a plan.",
    ),
    "plan/file": Code(
        meaning="The plan file cannot be read, is not TOML, or a key in it is not as required.",
        remedy="Correct the named keys of the plan file; docs/plan.md lists them all.",
    ),
    "plan/signature": Code(
        meaning="The plan is not signed by the coordinator that this site has pinned, for this "
        "run.",
        remedy="Use a plan signed by the coordinator whose key this site has pinned.",
    ),
    "plan/roster": Code(
        meaning="The plan is for another roster than the pinned one, or the pinned federation "
        "document does not hold.",
        remedy="Bring site and coordinator to the same roster epoch before starting the run.",
    ),
    "plan/cohort": Code(
        meaning="The plan's cohort names sites that are not on the roster, or does not name this "
        "site with its declared users.",
        remedy="Name only sites of the roster in the cohort, and each with its declared users.",
    ),
    "plan/catalogue": Code(
        meaning="The plan pins another catalogue than the one that is there.",
        remedy="Put the plan's catalogue into HOME/catalogue.json at the coordinator, and take it "
        "at the site by `recommons site catalogue fetch`.",
    ),
    "plan/mechanism": Code(
        meaning="The plan's blocks, noise or rates are not those of its model, or do not give the "
        "ε it claims.",
        remedy="Have the coordinator calibrate the plan again: its noise, clips or blocks are not "
        "those of its model, or do not give the guarantee it claims.",
    ),
}
