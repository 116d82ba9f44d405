"""What a verifier of evidenced bundles tells beside its verdict, written from ledger-format.md alone: §6,
"Citations", §14, "Beside the verdict" and "What is not here". The half of evidenced_verify.py that judges
nothing."""
import json, re
# Section 6, Citations: the types cited (*: any; size: a tree size), the kind of stream shared, the fields.
CITING = """
* -: evidence.decrypted.order issuance.requested.evidence
account.closed subject: account.restored.closure
account.credential_compromised subject: account.credential_changed.compromise
account.session_opened,log.session -: contract.signed.session_event
anchor.evidence_record,anchor.renewed -: anchor.renewed.previous
cert.issued cert: cert.activated.issued cert.expired.issued cert.retention_ended.issued
    cert.revoked.issued cert.suspended.issued
cert.issued,cert.activated subject: contract.signed.certificate
cert.requested cert: cert.issued.requested
consent.granted,consent.separate_granted subject: consent.scope_changed.consent consent.withdrawn.consent
consent.granted,consent.separate_granted,minor.guardian_consented subject: disclosure.made.consent
    identity.verify_requested.consent
contract.created,contract.signed,contract.completed -: disclosure.made.contract
contract.signed contract: contract.completed.signatures
disclosure.made disclosure: disclosure.acknowledged.disclosure
disclosure.requested disclosure: disclosure.refused.requested
disclosure.requested,request.received -: disclosure.made.request
erasure.executed,erasure.partial -: evidence.destroyed.erasure thirdparty.removed.erasure
erasure.party_approved request: erasure.executed.approvals
erasure.requested request: erasure.executed.requested erasure.partial.requested
    erasure.party_approved.requested erasure.refused.requested
evidence.decrypted object: evidence.exported.decryption
evidence.deposited object: evidence.decrypted.deposit evidence.destroyed.deposit evidence.exported.deposit
    evidence.sealed.deposit evidence.verified.deposit
identity.agent_authorised subject: contract.signed.agent identity.agent_revoked.authorisation
identity.org_verified subject: identity.agent_authorised.organisation
identity.verified -: identity.agent_authorised.agent identity.org_verified.legal_representative
    minor.guardian_consented.guardian
identity.verified,identity.org_verified subject: account.restored.identity cert.requested.identity
    contract.signed.identity evidence.deposited.identity identity.expired.verification
    issuance.requested.identity
identity.verified,identity.org_verified,request.identity_checked -: account.closed.identity_check
identity.verify_requested subject: identity.failed.requested identity.verified.requested
incident.detected incident: incident.closed.detected incident.contained.detected
    incident.notified.detected incident.reported.detected
issuance.dispatched issuance: issuance.delivered.dispatched
issuance.generated issuance: issuance.dispatched.generated
issuance.requested issuance: issuance.accepted.requested issuance.generated.requested
    issuance.refused.requested
issuance.requested,issuance.accepted,issuance.generated -: evidence.exported.issuance
key.rotated -: transfer.completed.key_rotation
minor.guardian_consented subject: minor.guardian_withdrew.consent
policy.published -: consent.granted.policy consent.separate_granted.policy thirdparty.asserted.policy
    transfer.bound.policy
policy.published policy: policy.accepted.policy policy.declined.policy policy.notified.policy
    policy.published.previous
request.received -: request.fee_charged.earlier
request.received request: request.answered.received request.escalated.received
    request.fee_charged.received request.identity_checked.received request.overdue.received
    request.refused.received
request.received subject: account.closed.request
retention.class_assigned object: retention.expired.assigned
retention.hold_placed -: erasure.refused.hold
retention.hold_placed object: retention.hold_released.placed
service.shutdown_announced -: service.intake_stopped.announced
staff.granted staff: staff.revoked.granted
thirdparty.asserted -: thirdparty.objected.assertion
thirdparty.objected request: thirdparty.removed.objection
transfer.announced -: transfer.bound.announced
transfer.bound -: transfer.completed.bound
size -: anchor.checkpoint.size anchor.evidence_record.size anchor.timestamped.size anchor.witnessed.size
    issuance.generated.checkpoint_size system.selfcheck.size
"""
RULES = {field: head.split() for head, fields in re.findall("^(.+):((?: .+)?(?:\n    .*)*)", CITING, re.M)
         for field in fields.split()}
def streams_of(entry, kind):
    return {name for name in [entry["actor"], *dict(entry["streams"])] if name.startswith(f"{kind}/")}
# Section 14, What is not here: what a record is cited as, where that is not the field's own name.
PURPOSES = """
announced announcement|approvals approval|assigned assignment|bound binding|
cert.issued.requested application for a certificate|detected detection|dispatched dispatch|
earlier earlier request|generated production|granted grant|identity identity check|
identity_check check of the account holder|issuance issue of evidence|issued issue of the certificate|
placed hold placed|previous previous one|received request|requested application|session_event session|
signatures signature
"""
PURPOSE = dict(item.strip().split(" ", 1) for item in PURPOSES.split("|"))
def purpose(entry, field):
    return PURPOSE.get(f"{entry['type']}.{field}") or PURPOSE.get(field) or field.replace("_", " ")
def citations(entry):           # of entries: the field, the types, the kind of stream, the index cited
    for field, value in sorted(entry["body"].items()):
        types, shared = RULES.get(f"{entry['type']}.{field}", (None, None))
        for cited in (value if type(value) is list else [value]) if types else ():
            yield field, types, shared, cited
def is_absent(entries, index, types, cited):
    return types != "size" and cited < index and cited not in entries
def of_type(entries, *types):
    return [index for index, entry in sorted(entries.items()) if entry["type"] in types]

def told(entries, opened, manifest):
    """All notes. `opened`: the values disclosed, by "INDEX.NAME"."""
    documents = [f"note: document: {line}" for line in tell_documents(entries, opened, manifest)]
    absences = [f"note: not here: {line}" for line in tell_absences(entries, opened, manifest)]
    return tell_citations(entries) + tell_clock(entries) + documents + absences
def tell_citations(entries):
    lines = []
    for index, entry in sorted(entries.items()):
        for field, types, shared, cited in citations(entry):
            fault = ""
            if cited > index if types == "size" else cited >= index:
                fault = "was not there yet"
            elif types != "size" and cited in entries:
                own, others = streams_of(entry, shared), streams_of(entries[cited], shared)
                if types != "*" and entries[cited]["type"] not in types.split(","):
                    fault = f"has another type, {entries[cited]['type']}"
                elif own and others and not own & others:
                    fault = "is of another " + shared
            if fault:
                lines.append(f"note: citation: record {index}: `{field}`: record {cited} {fault}")
    return lines
def tell_clock(entries):
    lines = []
    for index, entry in sorted(entries.items()):
        vouched = entry["body"].get("confirmed", "nothing")
        if entry["type"] == "system.clock_status" and not entry["body"]["synchronized"]:
            lines.append(f"note: clock: record {index}: not synchronised from here, confirmed by {vouched}")
        if entry["type"] == "system.clock_jumped":
            jump = entry["body"]["microseconds"]
            lines.append(f"note: clock: record {index}: it jumped by {jump} us, confirmed by {vouched}")
    if unknown := untold(entries):
        lines.append(f"note: clock: of {len(unknown)} records nothing here says whether it was synchronised")
    return lines
def untold(entries):            # before the first word on the clock
    first = min(of_type(entries, "system.clock_status"), default=max(entries) + 1)
    return [index for index, entry in sorted(entries.items()) if index < first
            and entry["type"].split(".")[0] not in ("ledger", "system", "anchor")]

# ---- Section 14, What is not here ----
BOTH = "Ask whoever filed this bundle, and the ledger operator."
def listed(items, most=20, separator="; "):
    return separator.join(items[:most]) + (" and others" if len(items) > most else "")
def records(runs):              # ranges of indexes, such as range(5, 8) for 5, 6, 7
    joined = []
    for run in runs:
        if joined and joined[-1].stop == run.start:
            run = range(joined.pop().start, run.stop)
        joined.append(run)
    words = [f"{run.start}" if len(run) == 1 else f"{run.start}–{run.stop - 1}" for run in joined]
    return ("record " if words[1:] == [] and len(joined[0]) == 1 else "records ") + listed(words, 20, ", ")
def numbers(indexes):
    return records([range(index, index + 1) for index in indexes])
def systems(entries, indexes):
    return listed(sorted({entries[index]["submitter"] for index in indexes}), 5, ", ")
def shown(text):                # characters that could move or hide what stands around them
    return re.sub("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]",
                  "?", text)
def tell_documents(entries, opened, manifest):
    for index in of_type(entries, "contract.signed"):
        digest = opened.get(f"{index}.sha256")
        if digest is None:
            yield (f"record {index}: the digest of the document signed is withheld; nothing here shows which "
                   "it is")
            continue
        documents, types = [], []
        for other in of_type(entries, "evidence.deposited", "contract.created"):
            if opened.get(f"{other}.sha256") == digest:
                name = opened.get(f"{other}.file_name")
                known = [shown(json.dumps(name, ensure_ascii=False))] if name is not None else []
                known += [row["name"] for row in manifest["originals"] if row["index"] == other]
                known = ", ".join(known)
                types.append(entries[other]["type"])
                what = "deposit" if types[-1] == "evidence.deposited" else "contract"
                documents.append(f"the {what} in record {other}{known and f' ({known})'}")
        found = ", that of " + listed(documents, 5, ", ") if documents else ""
        found += "" if "evidence.deposited" in types else "; no deposit here discloses it"
        yield f"record {index}: the document signed has SHA-256 {digest[:12]}…{found}"
def tell_absences(entries, opened, manifest):
    size, newest, cited = manifest["checkpoint"]["size"], max(entries), {}
    for index, entry in sorted(entries.items()):
        for field, types, _, number in citations(entry):
            if is_absent(entries, index, types, number):
                cited.setdefault(purpose(entry, field), set()).add(number)
    known = sorted({*entries, *(number for kind in cited.values() for number in kind)})
    gaps = [range(before + 1, after) for before, after in zip([-1, *known], [*known, size])
            if before + 1 < after]
    if later := [gap for gap in gaps if gap.start > newest]:
        yield (f"Later than the newest record here: {records(later)}. What is recorded there is unknown, and "
               f"could change the story (a withdrawal, a refusal). {BOTH}")
    yield (f"Later than the checkpoint, which ends with record {size - 1}: whether anything was recorded "
           "since is unknown. Ask the ledger operator for a newer bundle.")
    if kinds := sorted((min(found), kind, sorted(found)) for kind, found in cited.items()):
        yield f"Cited here, {listed([f'as {kind}: {numbers(found)}' for _, kind, found in kinds])}. {BOTH}"
    if rests := [f"of record {index} {' and '.join(missing)}" for index in of_type(entries, "contract.signed")
                 if (missing := missing_of(entries, index))]:
        yield f"What signatures rest on: {listed(rests)}. {BOTH}"
    if parties := list(silent_parties(entries)):
        yield (f"Signatures or refusals of parties: {listed(parties)}. If there are records of them, ask "
               "whoever filed this bundle, and the ledger operator.")
    people = {party for index in of_type(entries, "contract.created")
              for party in entries[index]["body"]["parties"]}
    for index in of_type(entries, "contract.signed"):
        people |= streams_of(entries[index], "subject")
    named = {scope for index, entry in entries.items() for scope, claims in entry["claims"].items()
             if any(f"{index}.{name}" in opened for name in {"name", "organisation_name"} & set(claims))}
    if nameless := len(people - named):
        yield (f"Names of {nameless} of the {len(people)} parties and signatories, which nothing here "
               f"discloses. {BOTH}")
    if earlier := [gap for gap in gaps if gap.start < newest]:
        others = " Of the stories listed as complete none is missing, up to the newest record here of each."
        yield (f"Cited by nothing here: {records(earlier)}. What is recorded there is unknown."
               f"{others if manifest['streams'] else ''} {BOTH}")
    inside = {row["index"] for row in manifest["originals"]}
    digests = {opened[f"{index}.sha256"] for index in inside}
    claims = {index: [name for scope in entry["claims"].values() for name in scope]
              for index, entry in sorted(entries.items())}
    if files := [index for index, names in claims.items() if "sha256" in names and index not in inside
                 and opened.get(f"{index}.sha256") not in digests]:
        yield (f"Files of the documents whose digests are in {numbers(files)}. Ask whoever filed this "
               f"bundle, the parties, and whoever runs the systems named: {systems(entries, files)}.")
    withheld = [index for index, names in claims.items() for name in names if f"{index}.{name}" not in opened]
    if withheld:
        yield (f"Values withheld, of which only salted hashes are here: {len(withheld)}, in "
               f"{numbers(sorted(set(withheld)))}. {BOTH}")
    if signed := of_type(entries, "contract.signed"):
        yield ("The electronic signatures and certificates themselves, of the signatures in "
               f"{numbers(signed)}: records have at most their digests. Ask the parties, whoever runs the "
               f"systems named ({systems(entries, signed)}), and the certificate authorities.")
    if unknown := untold(entries):
        yield f"Reports on the clock of the ledger before {numbers(unknown)}. Ask the ledger operator."
    if not manifest["consistency"]:
        yield ("An older checkpoint to compare with: without one nothing here shows whether the ledger was "
               "rewritten before this one was signed. Ask others who keep older checkpoints or receipts: "
               "parties, witnesses.")
    yield ("The key of the ledger operator from outside this bundle: the one in it cannot confirm itself. "
           "Ask the ledger operator, by a way of its own.")
    yield ("The format document (ledger-format.md), with all rules of these checks. Ask whoever made this "
           "bundle, and the ledger operator.")
def missing_of(entries, index):
    missing = []
    for field in ("identity", "certificate"):
        cited = entries[index]["body"].get(field)
        if type(cited) is int and is_absent(entries, index, "", cited):
            missing.append(f"the {purpose(entries[index], field)} (record {cited})")
    return missing
def silent_parties(entries):    # of whom nothing here says that they signed, or declined
    for index in of_type(entries, "contract.created"):
        parties, contracts = set(entries[index]["body"]["parties"]), streams_of(entries[index], "contract")
        acted = set()
        for other in of_type(entries, "contract.signed", "contract.declined"):
            if streams_of(entries[other], "contract") & contracts:
                acted |= streams_of(entries[other], "subject")
        if silent := len(parties - acted):
            yield f"of {silent} of the {len(parties)} parties that record {index} lists"
