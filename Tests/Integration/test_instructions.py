"""VERIFY.txt's commands: what they find, and that nothing which stands in a bundle is ever run by them."""

import hashlib
import os
import re
import resource
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

import instructions
from instructions import FAILED, NO_KEY, NOT_CHECKED, NOT_CONFIRMED, SHELLS, VERIFIED, failures, run, unpack
from page_bundles import PAGE, Key, Ledger, Lease, new_stream, sums

LONG = os.environ.get("EVIDENCED_LONG", "") not in ("", "0")
ROOT = Path(__file__).resolve().parents[2]


class Small:
    """The smallest bundle with something of everything: record 1 is a deposit, record 2 a recovery."""

    def __init__(self):
        ledger = self.ledger = Ledger()
        document, thing = b"text of a contract", new_stream("object")
        claims = {thing: {"sha256": hashlib.sha256(document).hexdigest(), "size": len(document)}}
        body = {"channel": "api", "media_type": "text/plain", "product": "deposit"}
        deposit = ledger.append("evidence.deposited", [thing], body, claims)
        ledger.recover()
        self.members = ledger.bundle(PAGE, [thing], originals=[(deposit, "txt", document)], consistency=[2])
        self.keys = [key.vkey for _, key in ledger.keys]


@pytest.fixture(scope="module")
def small() -> Small:
    return Small()


@pytest.fixture(scope="module")
def members(small) -> dict[str, bytes]:
    return small.members


@pytest.fixture(params=SHELLS, ids=" ".join)
def shell(request) -> list[str]:
    return request.param


@pytest.fixture(params=SHELLS if LONG else [["dash"]], ids=" ".join)
def one_shell(request) -> list[str]:
    """For what depends on the tools more than on the shell."""
    return request.param


def test_all_shells_the_text_names_are_here():
    assert [shell[0] for shell in SHELLS] == ["dash", "bash", "bash", "zsh"], "install zsh: make deps"


def test_every_shell_verifies_a_good_bundle(small, members, shell, tmp_path):
    directory = unpack(members, tmp_path / "case")
    before = sorted(path.name for path in Path("/tmp").glob("verify*"))
    for key, status in (("", NOT_CONFIRMED), (small.keys[0], VERIFIED), (small.keys[1], VERIFIED)):
        done = run(directory, key, shell)
        lines = done.stdout.decode().split("\n")
        assert done.returncode == status and not failures(done), done.stdout.decode()
        # Nothing else is said: no complaint of a shell or a tool.
        ends = ("OK ", "NOTE ", "KEYS MATCH", "NOT CONFIRMED", "Ask the", "(Only", "(If it", "The integrity", "(Until", "仅密钥比对一致", "（如抄自", "此处所作",
                "尚未确认", "请通过", "NOTE: ", "提示：")
        assert all(line == "" or line.startswith(ends) for line in lines), lines
        assert sum(line.startswith("OK ") for line in lines) > 25
        # Which key it is, and what is not checked here, stands beside every verdict.
        assert "(Only keys are compared: who the operator is, and who signed a contract, is not checked.)" in lines
        assert any("仅比对密钥；未核实运营方身份，亦未核验何人签署合同" in line for line in lines)
        # And a match says no more than it is.
        assert status != VERIFIED or {"(If it was copied from this bundle, the comparison shows nothing.)", "（如抄自本证据包，此比对无证明意义。）",
            "The integrity checks made here hold; read the notes. The records are as the checkpoint has them; when that was signed, and "
            "whether the ledger was rewritten before, is not shown."} < set(lines), lines
        # A page may show anything around good data.
        assert any(line.startswith("NOTE    index.html: what the page shows around its data was not checked") for line in lines)
    assert sorted(path.name for path in Path("/tmp").glob("verify*")) == before


def test_a_long_story_is_verified(tmp_path):
    lease = Lease(incarnations=2)
    done = run(unpack(lease.bundle(PAGE), tmp_path / "case"), lease.vkey)
    assert done.returncode == VERIFIED and not failures(done), done.stdout.decode()


def openssl(pem: bytes, *args) -> bytes:
    """What openssl makes of a public key."""
    return subprocess.run(["openssl", "pkey", "-pubin", *args], input=pem, stdout=subprocess.PIPE, check=True).stdout


def test_a_key_is_a_key(small, members, shell, tmp_path):
    directory = unpack(members, tmp_path / "case")
    vkey, pem = small.keys[0], members["keys/1.pem"].decode()
    digest = hashlib.sha256(openssl(pem.encode(), "-outform", "DER")).hexdigest()
    other = Key("other.example").vkey
    weak = pem.replace(pem.split("\n")[1], "MCowBQYDK2VwAyEA" + "A" * 43 + "=")
    none = [f"{vkey[:30]} {vkey[30:]}", f"{vkey[:30]}\n{vkey[30:]}", f"{vkey}\n{vkey}", "x" + vkey, "$(id)", "a[$(id)]", vkey[:-1],
            "-", "key", " \r\n", "\ufeff", f"{vkey}\n{pem}", pem + pem, pem[:-28], pem.replace("MCow", "MCox"), weak,
            pem.replace("PUBLIC", "PRIVATE"), digest[1:], digest + "0", f"{digest}\n{digest}", vkey.replace("A", "\u0410"),
            f"\u00a0{vkey}", vkey.encode("utf-16"), other.replace("other.", "other\u2009"), b"\xff" + vkey.encode()]
    for key in none if LONG or shell == ["dash"] else none[::4]:
        assert run(directory, key if isinstance(key, str) else key.replace(b"\0", b""), shell).returncode == NO_KEY, key
    groups = ":".join(digest[at:at + 4] for at in range(0, 64, 4)).upper()
    keys = ["\ufeff" + pem.replace("\n", " \r\n\r\n"), f"\ufeff\r\n{vkey}\t\n\n", groups.replace(":", " ") + "\r\n"]
    keys += [f" {vkey}\r\n", pem, digest, groups] if LONG or shell == ["dash"] else []
    for key in keys:
        done = run(directory, key, shell)
        assert done.returncode == VERIFIED and not failures(done), (key, done.stdout.decode())
    # Good keys, whatever a name may hold, that are none of this ledger's.
    for key in (other, "0" * 64) if LONG or shell == ["dash"] else (Key("a@\\057b:\u4e2d$(id)").vkey,):
        done = run(directory, key, shell)
        assert done.returncode == FAILED and failures(done) == ["FAILED  keys: the key given is none of the ledger's"], key
        # Nothing was tampered with, and it isn't said.
        assert b"the bundle agrees in itself" in done.stdout and b"checks FAILED" not in done.stdout


def test_the_name_of_a_ledger_keeps_its_rule(one_shell, tmp_path):
    for number, (origin, status) in enumerate([("x" * 200, VERIFIED), ("a_:/.-b", VERIFIED), ("x" * 201, FAILED), ("a@b", FAILED)]):
        ledger, thing = Ledger(origin=origin), new_stream("object")
        body = {"channel": "api", "media_type": "text/plain", "product": "deposit"}
        ledger.append("evidence.deposited", [thing], body, {thing: {"sha256": "00" * 32}})
        done = run(unpack(ledger.bundle(PAGE, [thing]), tmp_path / str(number)), ledger.keys[0][1].vkey, one_shell)
        assert done.returncode == status, (origin, done.stdout.decode())


def test_the_text_is_the_same_wherever_it_is_printed(bin):
    digest = hashlib.sha256(instructions.TEXT.read_bytes()).hexdigest()
    printed = subprocess.run([bin / "evidence", "instructions"], capture_output=True, check=True).stdout
    assert printed == instructions.TEXT.read_bytes()
    named = subprocess.run([bin / "evidence", "instructions", "--sha256"], capture_output=True, check=True, text=True)
    assert named.stdout == digest + "\n"
    assert f"| `evidenced/0.1.0` | `VERIFY.txt` | `{digest}` |" in (ROOT / "ledger-format.md").read_text()


# The computer it is run on

STRANGE = (" ", "back\\slash\\n", "new\nline", "a=b", "a:b", "'\"", "$(touch canary)", "*?[x]", "%s%d", "-rf", "\u4e2d")


@pytest.mark.parametrize("name", ["".join(STRANGE), *(STRANGE if LONG else [])], ids=ascii)
def test_intermediate_files_may_lie_anywhere(small, members, name, shell, tmp_path):
    directory, place = unpack(members, tmp_path / "case"), tmp_path / name
    place.mkdir()
    # Also at a place that is told from here on.
    for where in (str(place), os.path.join("..", name)):
        done = run(directory, small.keys[0], shell, TMPDIR=where)
        assert done.returncode == VERIFIED and not failures(done), (shell, where, done.stdout.decode())
    assert not list(tmp_path.rglob("canary")) and not list(place.iterdir())


def not_checked(done) -> bool:
    """Whether it says that the computer is at fault, and no ill of the bundle."""
    return done.returncode == NOT_CHECKED and not failures(done) and b"\nNOT CHECKED: this computer " in done.stdout \
        and "未能核验".encode() in done.stdout and b"KEYS MATCH" not in done.stdout and b"checks FAILED" not in done.stdout


def tools_without(directory: Path, missing: str) -> str:
    """A folder of all the commands need, but for one."""
    text = instructions.commands(instructions.TEXT.read_text())
    names = re.search(r"for tool in ([a-z0-9 ]+);", text)[1].split()
    assert missing in names
    directory.mkdir()
    for name in {*names, "kill"} - {missing}:
        (directory / name).symlink_to(shutil.which(name))
    return str(directory)


@pytest.mark.parametrize("tool", ["awk", "cat", "cmp", "mktemp", "openssl", "rm", "sha256sum", "xxd"])
def test_a_missing_tool_is_no_fault_of_the_bundle(small, members, tool, tmp_path):
    directory = unpack(members, tmp_path / "case")
    done = run(directory, small.keys[0], [shutil.which("dash")], PATH=tools_without(tmp_path / "bin", tool))
    assert not_checked(done) and f"{tool} is missing".encode() in done.stdout, done.stdout.decode()


@pytest.mark.parametrize("tool", ["openssl", "sha256sum", "base64", "xxd", "grep", "cut"])
def test_a_tool_that_does_not_work_is_no_fault_of_the_bundle(small, members, one_shell, tool, tmp_path):
    directory, tools = unpack(members, tmp_path / "case"), tmp_path / "bin"
    path = tools_without(tools, tool)
    # As one that lacks an option would end; at once, or from the middle on.
    for uses in (0, 20) if tool != "openssl" else (0, 2):
        (tools / tool).write_text(f'#!/bin/sh\n[ "$(wc -l < {tmp_path}/{tool} 2>/dev/null || echo 0)" -ge {uses} ] && exit 1\n'
                                  f'echo >> {tmp_path}/{tool}\nexec {shutil.which(tool)} "$@"\n')
        (tools / tool).chmod(0o755)
        done = run(directory, small.keys[0], [shutil.which(one_shell[0]), *one_shell[1:]], PATH=path)
        assert not_checked(done), (tool, uses, done.stdout.decode())
        (tmp_path / tool).unlink(missing_ok=True)


def test_no_place_for_intermediate_files_is_no_fault_of_the_bundle(small, members, shell, tmp_path):
    directory = unpack(members, tmp_path / "case")
    (tmp_path / "file").write_text("")
    for where in (tmp_path / "nowhere", tmp_path / "file", "/proc"):
        assert not_checked(run(directory, small.keys[0], shell, TMPDIR=str(where))), where
    # Its own files would be strange ones.
    for where in (directory, directory / "entries", "."):
        assert not_checked(run(directory, small.keys[0], shell, TMPDIR=str(where))), where
    assert sorted(path.name for path in directory.iterdir()) == sorted({name.partition("/")[0] for name in members})


@pytest.mark.parametrize("handling", [signal.SIG_DFL, signal.SIG_IGN], ids=["killed", "refused"])
def test_no_room_is_no_fault_of_the_bundle(small, members, one_shell, handling, tmp_path):
    directory = unpack(members, tmp_path / "case")
    seen = set()
    for size in range(0, 12_000, 500 if LONG else 3_000):
        # The longest file there may be: as on a full disk, some are written and some are not.
        def limit(size=size):
            signal.signal(signal.SIGXFSZ, handling)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

        done = run(directory, small.keys[0], one_shell, preexec_fn=limit, TMPDIR=str(tmp_path))
        assert not_checked(done) or done.returncode == VERIFIED and not failures(done), (size, done.stdout.decode())
        seen.add(done.returncode)
    assert NOT_CHECKED in seen


FAILING_CAT = """#!/bin/sh
PATH={path}
case $(readlink /proc/$$/fd/1) in {place}/*)
    echo >> {place}/../count
    [ "$(wc -l < {place}/../count)" -ne {at} ] || {{ cat "$@" | head -c 3; exit 1; }} ;;
esac
exec cat "$@"
"""


def test_no_write_that_is_lost_is_a_fault_of_the_bundle(small, members, tmp_path):
    directory, tools, place = unpack(members, tmp_path / "case"), tmp_path / "bin", tmp_path / "place"
    path = tools_without(tools, "cat")
    place.mkdir()
    for at in range(1, 1000) if LONG else (1, 4, 5, 6, 7, 9, 12, 20, 30, 40):
        (tools / "cat").unlink(missing_ok=True)
        (tools / "cat").write_text(FAILING_CAT.format(place=place, at=at, path=os.environ["PATH"]))
        (tools / "cat").chmod(0o755)
        done = run(directory, small.keys[0], [shutil.which("dash")], PATH=path, TMPDIR=str(place))
        if done.returncode == VERIFIED:
            break
        assert not_checked(done), (at, done.stdout.decode())
        (tmp_path / "count").unlink()
    assert at > 39


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_cannot_be_read_is_no_fault_of_the_bundle(small, members, shell, tmp_path):
    directory = unpack(members, tmp_path / "case")
    for path in (directory / "checkpoint", directory / "entries"):
        mode = path.stat().st_mode
        path.chmod(0)
        assert not_checked(run(directory, small.keys[0], shell)), path
        path.chmod(mode)


def hashed(names: tuple[str, ...], size: int | None = None) -> tuple[dict[str, bytes], str]:
    """A bundle with a document whose digests of these names are open; and its key."""
    ledger, document, thing = Ledger(), b"text of a contract", new_stream("object")
    claims = {name: hashlib.new(name, document).hexdigest() for name in names} | {"size": len(document) if size is None else size}
    body = {"channel": "api", "media_type": "text/plain", "product": "deposit"}
    index = ledger.append("evidence.deposited", [thing], body, {thing: claims})
    originals = [(index, "txt", document)] if size is None else []
    return ledger.bundle(PAGE, [thing], originals=originals), ledger.keys[0][1].vkey


def test_an_openssl_without_sm3_is_no_fault_of_the_bundle(one_shell, tmp_path):
    path = tools_without(tmp_path / "bin", "openssl")
    (tmp_path / "bin/openssl").write_text(f'#!/bin/sh\ncase "$*" in *-sm3*) exit 1 ;; esac\nexec {shutil.which("openssl")} "$@"\n')
    (tmp_path / "bin/openssl").chmod(0o755)
    for names in (("sha256",), ("sha256", "sm3")):
        bundle, key = hashed(names)
        directory = unpack(bundle, tmp_path / str(len(names)))
        assert run(directory, key, one_shell).returncode == VERIFIED
        done = run(directory, key, [shutil.which(one_shell[0]), *one_shell[1:]], PATH=path)
        if "sm3" in names:
            assert not_checked(done) and b"SM3" in done.stdout, done.stdout.decode()
        else:
            assert done.returncode == VERIFIED, done.stdout.decode()


@pytest.mark.parametrize("part", ["streams_of", "succeeded", "commitments"])
def test_an_awk_that_ends_early_is_no_fault_of_the_bundle(small, members, one_shell, part, tmp_path):
    """One use of it: by what the program it is given holds."""
    path = tools_without(tmp_path / "bin", "awk")
    (tmp_path / "bin/awk").write_text(f'#!/bin/sh\ncase "$*" in *{part}*) exit 2 ;; esac\nexec {shutil.which("awk")} "$@"\n')
    (tmp_path / "bin/awk").chmod(0o755)
    done = run(unpack(members, tmp_path / "case"), small.keys[0], [shutil.which(one_shell[0]), *one_shell[1:]], PATH=path)
    assert not_checked(done), done.stdout.decode()


def test_the_folder_counts_for_its_files_only(small, members, shell, tmp_path):
    """Names that are passed over may be any; folders that hold nothing are nothing."""
    directory = unpack(members | {"originals/._\u5408\u540c.pdf": b"x", "__MACOSX/a b": b"x", "\u5408\u540c/.DS_Store": b"x"},
                       tmp_path / "case")
    (directory / "\u8bc1\u636e (1)").mkdir()
    done = run(directory, small.keys[1], shell)
    assert done.returncode == VERIFIED and not failures(done), done.stdout.decode()
    for number, name in enumerate(("originals/\u5408\u540c.pdf", "a b", "._a\n._b", "a\n__MACOSX/._b", "\n")):
        directory = unpack(members | {name: b"x"}, tmp_path / str(number))
        assert run(directory, small.keys[1], shell).returncode == FAILED, name


def test_an_opened_number_is_one_of_json(one_shell, tmp_path):
    for number, (size, status) in enumerate([(2**53 - 1, VERIFIED), (1 - 2**53, VERIFIED), (0, VERIFIED), (2**53, FAILED),
                                             (-2**53, FAILED), (9_999_999_999_999_999, FAILED), (10**16, FAILED)]):
        bundle, key = hashed(("sha256",), size)
        done = run(unpack(bundle, tmp_path / str(number)), key, one_shell)
        assert done.returncode == status, (size, done.stdout.decode())
        assert status == VERIFIED or "is not what record 1 commits to" in failures(done)[0]


# Hostile bundles

PAYLOADS = ("a[$(touch CANARY)]", "$(touch CANARY)", "`touch CANARY`", "x;touch CANARY;", "1+a[`touch CANARY`]",
            "'$(touch CANARY)'", "\"$(touch CANARY)\"", "PATH", "work", "-1", "0x10", "1 -o 1", "%s%n", "", "00", "\\0101")


def hostile(members: dict[str, bytes], payload: str):
    """The bundle with each number and each name of each text member replaced in turn."""
    shown = [
        ("checkpoint", rb"(?<=\n)\d+(?=\n)"), ("checkpoint", rb"^[^\n]+"), ("checkpoint", rb"(?<=\xe2\x80\x94 )\S+"),
        ("manifest.json", rb"(?<=\"size\":)\d+"), ("manifest.json", rb"(?<=\"index\":)\d+(?=,\"name\")"),
        ("manifest.json", rb"(?<=\"name\":\")originals/1.txt"), ("manifest.json", rb"(?<=\"producer\":\")[^\"]+"),
        ("manifest.json", rb"(?<=\"stream\":\")[^\"]+"), ("manifest.json", rb"(?<=\"entries\":)\d+"),
        ("manifest.json", rb"(?<=\"incarnation\":)\d+"), ("entries/0000000000000000.json", rb"(?<=\"index\":)\d+"),
        ("entries/0000000000000000.json", rb"(?<=\"origin\":\")[^\"]+"),
        ("entries/0000000000000000.json", rb"(?<=\"time\":\")[^\"]+"),
        ("entries/0000000000000000.json", rb"(?<=\"checkpoint_key\":\")[^\"]+"),
        ("entries/0000000000000002.json", rb"(?<=\"incarnation\":)\d+"),
        ("entries/0000000000000002.json", rb"(?<=\"size\":)\d+"),
        ("entries/0000000000000002.json", rb"(?<=\"succession\":\")[^\"]+"),
        ("proofs/0000000000000000.tlog-proof", rb"(?<=index )\d+"),
        ("proofs/0000000000000000.tlog-proof", rb"(?<=\n)[A-Za-z0-9+/]{43}="),
        ("keys/1.vkey", rb".+"), ("keys/2.pem", rb"(?<=\n).+(?=\n)"), ("openings/0000000000000001.size", rb"\d+\Z"),
        ("openings/0000000000000001.sha256", rb"(?<=v1\n).+"), ("SHA256SUMS", rb"\A[0-9a-f]{64}"),
        ("SHA256SUMS", rb"(?<=  )checkpoint"),
    ]
    shown += [(name, rb"(?<=v1\n)[A-Za-z0-9+/]{43}=") for name in members if name.startswith("consistency/")]
    shown += [(name, rb"(?<=ledger\n)\d+(?=\n)") for name in members if name.startswith("consistency/")]
    for name, pattern in shown:
        assert re.search(pattern, members[name]), (name, pattern)
        changed = members | {name: re.sub(pattern, lambda _: payload.encode(), members[name], count=1)}
        if name == "checkpoint":    # the same in all proofs, so that they are no reason to stop before
            old, new = members[name], changed[name]
            changed |= {each: text.replace(old, new) for each, text in changed.items() if each.startswith("proofs/")}
        if name != "SHA256SUMS":
            changed["SHA256SUMS"] = sums(changed)
        yield f"{name} {pattern.decode('latin-1')}", changed


def test_nothing_in_a_bundle_is_run(members, shell, tmp_path):
    canary = tmp_path / "canary"
    for payload in PAYLOADS if LONG else PAYLOADS[:1]:
        for what, changed in hostile(members, payload.replace("CANARY", str(canary))):
            directory = unpack(changed, tmp_path / "case")
            done = run(directory, "", shell)
            assert not canary.exists(), (payload, what)
            assert done.returncode == FAILED and failures(done), (payload, what, done.stdout.decode())
            shutil.rmtree(directory)


NAMES = ("$(touch canary)", "`touch canary`", "entries/$(touch canary).json", "-rf", "--help", "a b", "*", "\n", "x\ny",
         "entries/0000000000000000.json\nx", "consistency/a[$(touch canary)].txt", "keys/a[$(touch canary)].vkey",
         "keys/$(touch canary).pem", "originals/1.$(touch canary)", "openings/0000000000000001.$(touch canary)",
         "proofs/%s%n.tlog-proof", "\x1b[2J", "é", "entries/00000000000000000.json", "keys/01.vkey", "a;touch canary")


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_a_strange_name_is_refused(members, name, tmp_path):
    changed = members | {name: b"1\n"}
    check_names(tmp_path, changed, ["bash"])


def test_no_name_in_a_bundle_is_run(members, shell, tmp_path):
    check_names(tmp_path, members | {name: b"1\n" for name in NAMES}, shell)


def check_names(tmp_path, members, shell):
    done = run(unpack(members | {"SHA256SUMS": sums(members)}, tmp_path / "case"), "", shell)
    assert not any(path.name == "canary" for path in tmp_path.rglob("*"))
    assert done.returncode == FAILED and failures(done), done.stdout.decode()
    assert not re.search(rb"[\x00-\x08\x0b-\x1f]", done.stdout), "what is printed could move the cursor"


def test_links_and_pipes_are_no_files_of_a_bundle(members, shell, tmp_path):
    for number, make in enumerate((lambda path: path.symlink_to("/etc/hostname"), lambda path: os.mkfifo(path))):
        directory = unpack(members, tmp_path / str(number))
        (directory / "checkpoint").unlink()
        make(directory / "checkpoint")
        assert run(directory, "", shell).returncode == FAILED


def test_what_file_managers_leave_behind_is_passed_over(small, members, shell, tmp_path):
    litter = {".DS_Store": b"x", "entries/Thumbs.db": b"x", "__MACOSX/._checkpoint": b"x"}
    done = run(unpack(members | litter, tmp_path / "case"), small.keys[1], shell)
    assert done.returncode == VERIFIED and b"NOTE    passed over, as file managers leave it" in done.stdout


def test_changes_behind_the_list_are_found_without_the_program(members, tmp_path):
    """With SHA256SUMS made anew, each changed byte is still found, by what it should lead to."""
    for name, content in members.items():
        if name in ("VERIFY.txt", "SHA256SUMS", "index.html"):
            continue
        changed = dict(members)
        changed[name] = content[:len(content) // 2] + bytes([content[len(content) // 2] ^ 1]) + content[len(content) // 2 + 1:]
        changed["SHA256SUMS"] = sums(changed)
        done = run(unpack(changed, tmp_path / name.replace("/", "-")))
        assert done.returncode == FAILED and failures(done), name
