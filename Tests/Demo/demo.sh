#!/usr/bin/env bash
# A walk through the ledger from its creation to a proof checked by openssl and sha256sum alone.
# Usage: demo.sh BIN: the directory that holds evidenced and evidence. Needs neither root nor network.
set -euo pipefail
export LC_ALL=C.UTF-8

bin=$(cd "${1:?usage: demo.sh BIN}" && pwd)
PATH="$bin:$PATH"
dir=$(mktemp -d "${TMPDIR:-/tmp}/evidence-demo.XXXXXX")
cd "$dir"
export EVIDENCED_SOCKET="$dir/evidenced.sock"

daemon=
stop() {
    local status=$?
    if [[ -n $daemon ]]; then
        kill "$daemon" 2>/dev/null || true
        wait "$daemon" 2>/dev/null || true
    fi
    ((status == 0)) || printf '\nThe demo FAILED (status %d). Everything is in %s\n' "$status" "$dir" >&2
}
trap stop EXIT

chapter() { printf '\n── %s\n' "$*"; }
fail() { printf 'demo: %s\n' "$*" >&2; exit 1; }
same() { [[ $2 == "$3" ]] || fail "$1: '$2' is not '$3'"; printf '   %s: the same\n' "$1"; }
field() { python3 -c 'import json, sys; print(json.loads(sys.stdin.readline())[sys.argv[1]])' "$1"; }
newid() { python3 -c 'import secrets, time; print("%012x%s" % (int(time.time() * 1000), secrets.token_hex(10)))'; }
# Records one event and gives its index.
record() { evidence submit --json "$@" | field index; }
hex() { xxd -p -c 256; }
unhex() { xxd -r -p; }

for tool in age age-keygen openssl sha256sum xxd python3 base64 chromium; do
    command -v "$tool" >/dev/null || fail "$tool is missing"
done

chapter "A new ledger"
cat >evidenced.conf <<EOF
store = $dir/store
index = $dir/index
keys = $dir/keys
checkpoint-lock = $dir/lock/checkpoint.lock
keyring = $dir/keyring
socket = $EVIDENCED_SOCKET
backup-root = $dir/backups
objects = $dir/objects
principal.demo = uid:$(id -u)
role.demo = submitter,reader,auditor,discloser,operator,eraser,retriever
EOF
mkdir backups
evidence init --config evidenced.conf --origin demo.example/ledger >ledger.vkey
printf 'verification key: %s\n' "$(cat ledger.vkey)"
if evidence init --config evidenced.conf --origin demo.example/ledger 2>refusal.txt; then
    fail "a second init was not refused"
fi
printf 'a second init is refused: %s\n' "$(cat refusal.txt)"

evidenced --config evidenced.conf >daemon.log 2>&1 &
daemon=$!
for _ in {1..100}; do
    [[ -S $EVIDENCED_SOCKET ]] && evidence status >/dev/null 2>&1 && break
    kill -0 "$daemon" 2>/dev/null || fail "the daemon stopped: $(cat daemon.log)"
    sleep 0.1
done
evidence status >status.txt || fail "the daemon doesn't answer: $(cat daemon.log)"
same "the key the running daemon signs with" "$(evidence keys)" "$(cat ledger.vkey)"

chapter "Real documents"
mkdir documents
count=0
while IFS= read -r file; do
    cp "$file" "documents/$((++count))-$(basename "$(dirname "$file")")-$(basename "$file")"
done < <(
    find /usr/share -name '*.pdf' -type f -size -4M 2>/dev/null | sort | sed -n 1,4p
    find /usr/share/doc -name changelog.Debian.gz -type f 2>/dev/null | sort | sed -n 1,3p
    find /usr/share/doc -name copyright -type f 2>/dev/null | sort | sed -n 1,3p
)
# The contract the demo is about: a PDF where a tool here can make one, PostScript or text otherwise.
cat >contract.txt <<'EOF'
Lease agreement

The lessor lets the workshop at 8 Harbour Street to the lessee for twelve
months. The rent is 8,600 a month, due on the first day.
EOF
contract=documents/contract.txt
cp contract.txt "$contract"
if groff -Tpdf contract.txt >contract.pdf 2>/dev/null && [[ -s contract.pdf ]]; then
    contract=documents/contract.pdf
    mv contract.pdf "$contract"
elif groff -Tps contract.txt >contract.ps 2>/dev/null && [[ -s contract.ps ]]; then
    contract=documents/contract.ps
    mv contract.ps "$contract"
    if command -v ps2pdf >/dev/null && ps2pdf "$contract" documents/contract.pdf; then
        contract=documents/contract.pdf
    fi
fi
rm -f contract.pdf contract.ps
case $contract in
    *.pdf) media=application/pdf ;;
    *.ps) media=application/postscript ;;
    *) media=text/plain ;;
esac
# What will be deleted again.
withdrawn=documents/withdrawn.txt
printf 'A draft its owner will want deleted.\n' >"$withdrawn"
count=$(find documents -type f | wc -l)
printf '%d documents; the contract is %s\n' "$count" "$contract"

chapter "People, identity, policy and consent"
lessor=$(newid)
lessee=$(newid)
policy=$(newid)
for person in "$lessor 13800000001 Zhang-Wei" "$lessee 13900000002 Li-Na"; do
    read -r id phone name <<<"$person"
    record --type account.registered --actor "subject/$id" --stream "subject/$id" \
        --body kind=person --body channel=web --claim "subject/$id" "phone=$phone" >registered.$id
    record --type identity.verified --actor "subject/$id" --stream "subject/$id" \
        --body method=id-document --body expires=2036-01-01T00:00:00.000000Z --body level=high \
        --claim "subject/$id" "name=${name/-/ }" id_number=110101199003070000 >identity.$id
done
text=$(printf 'Demo privacy policy' | sha256sum | cut -d' ' -f1)
published=$(record --type policy.published --actor system --stream "policy/$policy" \
    --body kind=privacy --body version=1.0 --body language=zh-CN --body "text_sha256=$text" \
    --body effective=2026-01-01T00:00:00.000000Z)
for id in "$lessor" "$lessee"; do
    record --type policy.accepted --actor "subject/$id" --stream "policy/$policy" --stream "subject/$id" \
        --body "policy=$published" --body mode=express >/dev/null
    record --type consent.granted --actor "subject/$id" --stream "subject/$id" \
        --body purposes=deposit,signing --body categories=name,id-number,document --body "text_sha256=$text" \
        --body language=zh-CN --body "policy=$published" --body mode=express --body intent=click \
        --claim "subject/$id" "shown_text=I agree that my documents are deposited." >/dev/null
done
evidence list --type consent.granted

chapter "Documents are deposited, and kept encrypted"
evidence deposit --subject "$lessor" --proof-dir proofs documents/*
deposit=$(evidence find --json "$contract" | field index)
doomed=$(evidence find --json "$withdrawn" | field index)
kept_size=$(evidence status --json | field size)
kept_root=$(evidence status --json | field root)
printf '\nan auditor notes down: %d entries, root %s\n' "$kept_size" "$kept_root"

chapter "A document comes back, for a purpose that is recorded"
custody() { evidence show "$1" --raw | grep -o 'object/[0-9a-f]*' | sed -n 's/object.//;1p'; }
kept=$(custody "$deposit")
if grep -qrF 'A draft its owner will want deleted' objects; then fail "a document is kept in clear"; fi
evidence fetch "$kept" --purpose owner-download --actor "subject/$lessor" -o fetched
same "the contract, fetched" "$(sha256sum <fetched)" "$(sha256sum <"$contract")"
curl -sS --unix-socket "$EVIDENCED_SOCKET" -o fetched.curl \
    "http://ledger/objects/$kept?purpose=owner-download&actor=subject/$lessor"
same "and by curl" "$(sha256sum <fetched.curl)" "$(sha256sum <"$contract")"
age-keygen -o court.key 2>court.txt
evidence fetch "$kept" --purpose owner-download --actor "subject/$lessor" --recipient "$(newid)" \
    --to "$(sed -n 's/^# public key: //p' court.key)" -o contract.age
same "encrypted for a court, and opened by age" "$(age -d -i court.key contract.age | sha256sum)" "$(sha256sum <"$contract")"
evidence objects check
evidence list --stream "object/$kept"

chapter "The contract is made and signed"
agreement=$(newid)
authority=$(newid)
digest=$(sha256sum <"$contract" | cut -d' ' -f1)
record --type contract.created --actor "subject/$lessor" --stream "contract/$agreement" --stream "subject/$lessor" \
    --body "parties=subject/$lessor,subject/$lessee" --body "media_type=$media" \
    --claim "contract/$agreement" "sha256=$digest" "title=Lease agreement" >/dev/null
signatures=
for id in "$lessor" "$lessee"; do
    certificate=$(newid)
    requested=$(record --type cert.requested --actor "subject/$id" --stream "cert/$certificate" --stream "subject/$id" \
        --body "identity=$(cat identity.$id)" --body algorithm=p256 --body "authority=$authority")
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "key.$id" 2>/dev/null
    openssl req -new -x509 -key "key.$id" -subj "/CN=demo" -days 365 -out "cert.$id.pem" 2>/dev/null
    spki=$(openssl pkey -in "key.$id" -pubout -outform DER | sha256sum | cut -d' ' -f1)
    der=$(openssl x509 -in "cert.$id.pem" -outform DER | sha256sum | cut -d' ' -f1)
    issued=$(record --type cert.issued --actor system --stream "cert/$certificate" --stream "subject/$id" \
        --body "requested=$requested" --body "authority=$authority" \
        --body not_before=2026-01-01T00:00:00.000000Z --body not_after=2027-01-01T00:00:00.000000Z \
        --claim "subject/$id" issuer=CN=demo "serial=$(openssl x509 -in "cert.$id.pem" -noout -serial | cut -d= -f2)" \
        "spki_sha256=$spki" "certificate_sha256=$der")
    openssl dgst -sha256 -sign "key.$id" -out "signature.$id" "$contract"
    signatures+=${signatures:+,}$(record --type contract.signed --actor "subject/$id" \
        --stream "contract/$agreement" --stream "subject/$id" \
        --body "identity=$(cat identity.$id)" --body "certificate=$issued" --body intent=sms-code \
        --body algorithm=p256-sha256 \
        --claim "contract/$agreement" "sha256=$digest" \
        "signature_sha256=$(sha256sum <"signature.$id" | cut -d' ' -f1)")
done
record --type contract.completed --actor system --stream "contract/$agreement" \
    --body "signatures=$signatures" --claim "contract/$agreement" "sha256=$digest" >/dev/null
evidence list --stream "contract/$agreement"

chapter "A person asks for deletion; it is done, and recorded"
request=$(newid)
object=$(evidence show "$doomed" --raw | grep -o 'object/[0-9a-f]*' | sed -n 1p)
due=2027-01-01T00:00:00.000000Z
record --type request.received --actor "subject/$lessee" --stream "request/$request" --stream "subject/$lessee" \
    --body kind=erasure --body channel=app --body "due=$due" \
    --claim "subject/$lessee" "content=Please delete my data." >/dev/null
asked=$(record --type erasure.requested --actor "subject/$lessee" --stream "request/$request" \
    --stream "subject/$lessee" --body ground=D1 --body "scopes=$object")
approvals=
for id in "$lessor" "$lessee"; do
    approvals+=${approvals:+,}$(record --type erasure.party_approved --actor "subject/$id" \
        --stream "request/$request" --stream "subject/$id" --body "requested=$asked")
done
rm "$withdrawn"
file=objects/${object: -2}/${object#object/}.age
[[ -e $file ]] || fail "the document is not kept"
printf 'before: %s claims of it can be opened\n' "$(evidence show "$doomed" --open all --json | field openings | grep -o commitment | wc -l)"
evidence erase "$asked" --approvals "$approvals"
if evidence show "$doomed" --open all 2>refusal.txt; then fail "erased claims were opened"; fi
printf 'after: %s\n' "$(cat refusal.txt)"
if evidence fetch "${object#object/}" --purpose owner-download --actor "subject/$lessor" -o gone 2>refusal.txt; then
    fail "an erased document was given out"
fi
[[ ! -e $file && ! -e gone ]] || fail "the file of an erased document is there"
printf 'and the document: %s\n' "$(cat refusal.txt)"
evidence list --stream "request/$request"
printf '\nand the proof made when it was deposited still holds:\n'
evidence verify proofs/withdrawn.txt.tlog-proof --entry proofs/withdrawn.txt.entry.json --key ledger.vkey |
    tail -n 1

chapter "The same event sent twice is recorded once"
python3 - "$lessor" >event.json <<'EOF'
import json, secrets, sys, time
hexed = "%012x7%s8%s" % (int(time.time() * 1000), secrets.token_hex(2)[:3], secrets.token_hex(8)[:15])
uuid = "-".join([hexed[:8], hexed[8:12], hexed[12:16], hexed[16:20], hexed[20:]])
subject = "subject/" + sys.argv[1]
print(json.dumps({"type": "account.closed", "request": uuid, "actor": subject, "streams": [subject],
                  "body": {"channel": "web"}}))
EOF
evidence submit event.json
evidence submit event.json
same "the index of both receipts" "$(evidence submit --json event.json | field index)" \
    "$(evidence submit --json event.json | field index)"
same "the second is marked a duplicate" "$(evidence submit --json event.json | field duplicate)" True

chapter "Is this document recorded?"
evidence find "$contract"
printf 'never deposited' >unknown.txt
if evidence find unknown.txt; then fail "an unknown document was found"; fi

chapter "A proof, checked by evidence verify"
evidence prove "$deposit" -o contract.tlog-proof --entry-out contract.entry.json
evidence show "$deposit" --open all --json >openings.json
evidence verify contract.tlog-proof --entry contract.entry.json --key ledger.vkey \
    --opening openings.json --document "$contract"
sed 's/upload/api/' contract.entry.json >forged.entry.json
if evidence verify contract.tlog-proof --entry forged.entry.json --key ledger.vkey >forged.txt; then
    fail "a forged entry was verified"
fi
printf '\nand with one word of the entry changed:\n%s\n' "$(grep FAILED forged.txt)"

chapter "The same proof, checked with sha256sum, xxd and openssl"
hash=$( (printf '\0'; cat contract.entry.json) | sha256sum | cut -d' ' -f1)
printf '   leaf: SHA-256(00 ‖ entry) = %s\n' "$hash"
# A tlog-proof: a header line, the index, the hashes, an empty line, the checkpoint.
sed '1,/^$/d' contract.tlog-proof >checkpoint.note
sed '/^$/q' contract.tlog-proof | sed '1,2d;/^$/d' >path.txt
size=$(sed -n 2p checkpoint.note)
root=$(sed -n 3p checkpoint.note)
node=$(sed -n 's/^index //p' contract.tlog-proof)
same "the index in the proof" "$node" "$deposit"
last=$((size - 1))
# RFC 9162 section 2.1.3.2.
while IFS= read -r line; do
    sibling=$(base64 -d <<<"$line" | hex)
    ((last > 0)) || fail "the path is too long"
    if ((node % 2 == 1 || node == last)); then
        hash=$(printf '01%s%s' "$sibling" "$hash" | unhex | sha256sum | cut -d' ' -f1)
        printf '   SHA-256(01 ‖ %s… ‖ ours) = %s\n' "${sibling:0:8}" "$hash"
        while ((node % 2 == 0 && node != 0)); do
            node=$((node / 2))
            last=$((last / 2))
        done
    else
        hash=$(printf '01%s%s' "$hash" "$sibling" | unhex | sha256sum | cut -d' ' -f1)
        printf '   SHA-256(01 ‖ ours ‖ %s…) = %s\n' "${sibling:0:8}" "$hash"
    fi
    node=$((node / 2))
    last=$((last / 2))
done <path.txt
((last == 0)) || fail "the path is too short"
same "the root reached, and the root in the checkpoint" "$(unhex <<<"$hash" | base64)" "$root"

sed '/^$/q' checkpoint.note | sed '$d' >cp.txt
sed -n '/^$/,$p' checkpoint.note | sed -n '2s/^— [^ ]* //p' | base64 -d | tail -c +5 >cp.sig
evidence keys --pem >key.pem
same "the key in key.pem, and in the verification key" \
    "$(openssl pkey -pubin -in key.pem -outform DER | tail -c 32 | hex)" \
    "$(cut -d+ -f3- ledger.vkey | base64 -d | tail -c 32 | hex)"
openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in cp.txt -sigfile cp.sig

chapter "One disclosed claim, checked by hand"
python3 - >claim.env <<'EOF'
import json, shlex
for opening in json.load(open("openings.json"))["openings"]:
    if opening["name"] == "sha256":
        print(*(name + "=" + shlex.quote(opening[name]) for name in ("salt", "value", "commitment")))
EOF
# shellcheck disable=SC1091
source ./claim.env
# shellcheck disable=SC2154
own=$(printf 'evidenced/claim/v1\n%s\nsha256\n"%s"' "$salt" "$value" | sha256sum | cut -d' ' -f1 | unhex | base64)
# shellcheck disable=SC2154
same "the commitment recomputed, and the one disclosed" "$own" "$commitment"
grep -qF "\"sha256\":\"$own\"" contract.entry.json || fail "the entry doesn't hold that commitment"
same "the digest disclosed, and that of the file" "$value" "$(sha256sum <"$contract" | cut -d' ' -f1)"
if grep -qF "$value" contract.entry.json; then fail "the entry holds the digest in clear"; fi
printf '   the entry itself says nothing of the digest\n'

chapter "The ledger only grew"
evidence prove --consistency "$kept_size"
same "the first root, and the one the auditor noted down" \
    "$(evidence prove --consistency "$kept_size" --json | field firstRoot)" "$kept_root"

chapter "A bundle for somebody outside"
evidence bundle --stream "contract/$agreement" --with-cited --open title,sha256,name --original "$contract" --key ledger.vkey -o case.zip
printf '\nchecked by the program, without the daemon:\n'
evidence verify case.zip --key ledger.vkey
# Whoever gets it has the archive and the key, and nothing of ours.
mkdir case
python3 -m zipfile -e case.zip case
printf '\nchecked by the commands of VERIFY.txt:\n'
if ! (cd case && sed -n 's/^    //p' VERIFY.txt | env -i PATH=/usr/bin:/bin LEDGER_KEY="$(cat ../ledger.vkey)" sh) >shell.txt
then
    fail "VERIFY.txt's commands refuse the bundle: $(cat shell.txt)"
fi
printf '   %s checks, such as\n' "$(grep -c '^OK' shell.txt)"
sed -n -e '/SHA256SUMS/p' -e '/checkpoint: signed/p' -e '/leads to the root/p' -e '/originals/p' shell.txt | sed 's/^/   /'
# What the page finds is in its data-verdict: "not-shown" says all checks hold, and that whose key it is must be asked elsewhere.
verdict() {
    local sandbox=()
    ((EUID == 0)) && sandbox=(--no-sandbox)
    chromium --headless=new "${sandbox[@]}" --disable-gpu --user-data-dir="$dir/browser" --virtual-time-budget=30000 \
        --dump-dom "file://$1/index.html" 2>/dev/null | grep -o 'data-verdict="[a-z-]*"' | cut -d'"' -f2
}
printf '\nchecked by the page in a browser, offline: '
same "the verdict" "$(verdict "$dir/case")" not-shown
cp -r case forged
sed -i s/sms-code/password/ forged/entries/*.json
if (cd forged && sed -n 's/^    //p' VERIFY.txt | sh) >forged.txt 2>&1; then fail "a forged bundle was verified"; fi
printf '\nand with one word of an entry changed:\n%s\n' "$(grep '^FAILED' forged.txt)"
sed -i '/id="bundle-data"/s/sms-code/password/' forged/index.html
same "the browser's verdict on it" "$(verdict "$dir/forged")" failed

chapter "Audit, backup, status"
evidence audit --config evidenced.conf
evidence backup backups/first
evidence status
kill "$daemon"
wait "$daemon" || fail "the daemon ended with status $?: $(cat daemon.log)"
daemon=
evidence audit --config evidenced.conf >audit.txt || fail "the stopped ledger fails its audit: $(cat audit.txt)"
if evidence status 2>/dev/null; then fail "somebody answers for the stopped daemon"; fi

chapter "What happened"
cat <<EOF
A ledger was created; $count documents were deposited; two people registered, were identified, consented and signed
a contract; one asked for deletion: this script, in the service's place, destroyed a document, the ledger destroyed the key
of what it knew of it, and holds who agreed and what was done; the proof made before still holds. One of the
deposits was proven by sha256sum and openssl alone, down to the signature, and one claim was checked by hand against
its commitment. The whole ledger was re-derived from its entries and is intact.

Look around in $dir:
  ledger.vkey                  the key by which everything can be checked
  contract.entry.json          an entry as it was hashed: open it in any editor
  contract.tlog-proof          its proof, with the signed checkpoint
  proofs/                      proofs of all deposits
  case.zip                     the contract's story for somebody outside: unpacked in case/, open index.html
  openings.json                the disclosed claims
  store/, keys/, index/, lock/ the ledger itself; backups/first is a copy of it
  daemon.log                   what the daemon said
EOF
