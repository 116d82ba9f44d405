"""A bundle is its members: packed again or unpacked they are what they were, and what they lie in is told apart."""

import json
import os
import shutil
import subprocess
import sys

import archive_forgeries
import bundle_containers
import instructions
import pytest
from bundle_containers import INTACT, write
from page_bundles import INDEPENDENT, archive



@pytest.fixture
def judge(bin, lease, tmp_path):
    def verify(what, chinese=False) -> tuple[int, dict, str]:
        if isinstance(what, bytes):
            path = tmp_path / "case.zip"
            path.write_bytes(what)
            what = path
        command = [bin / "evidence", "verify", what, "--key", lease.vkey]
        done = subprocess.run([*command, "--json"], capture_output=True, timeout=60)
        said = subprocess.run(command + ["--chinese"] * chinese, capture_output=True, timeout=60)
        assert said.returncode == done.returncode, done
        return done.returncode, json.loads(done.stdout), said.stdout.decode()
    return verify


def note_of(report: dict) -> dict:
    return next(check for check in report["checks"] if check["check"] == "container")


def test_an_archive_as_it_was_issued(judge, members):
    status, report, said = judge(archive(members))
    assert (status, report["container"]) == (0, "as-issued")
    assert note_of(report)["outcome"] == "passed" and "repacked" not in said


def test_archives_of_other_programs(judge, members, tmp_path):
    found, count = {}, 0
    for each in bundle_containers.archives(members, tmp_path / "made"):
        status, report, said = judge(each.data)
        count += each.intact
        if each.intact:
            told = note_of(report)
            good = status == 0 and report["container"] == "repacked" and told["outcome"] == "noted"
            good = good and "repacked; contents intact" in told["remark"]["en"] and "KEYS MATCH" in said
        else:
            good = status == 1 and "KEYS MATCH" not in said and "contents intact" not in said
            # It would be refused for its other members, too.
            good = good and (each.name != "members that share their bytes" or "overlaps" in said)
        if not good:
            found[each.name] = status, said
    assert found == {} and count > 10


def test_forgeries_bite(members, tmp_path):
    """Each shows the forged document in a program of common use: that is what refusing them is for."""
    document, forged = archive_forgeries.true_and_forged(members)
    assert members[document] != forged
    programs = []
    for number, each in enumerate(archive_forgeries.forgeries(members)):
        if each.shown_by and (each.shown_by != "unzip" or shutil.which("unzip")):
            found = archive_forgeries.shown(each.shown_by, each.data, tmp_path / str(number))
            assert found[document] == forged, each.name
            programs.append(each.shown_by)
    assert {"zipfile", "stream"} <= set(programs) and len(programs) > 10
    for number, (name, data) in enumerate(archive_forgeries.lookalikes(members)):
        for program in ("zipfile", "stream", *["unzip"] * bool(shutil.which("unzip"))):
            # Who reads from the first byte on can't know the length of what is stored before its descriptor: it is told.
            found = archive_forgeries.shown(program, data, tmp_path / f"{program}{number}")
            assert {path: found[path] for path in members} == members, (name, program)


def test_what_helps_is_said(judge, members):
    data = next(each.data for each in archive_forgeries.forgeries(members) if "half a character" in each.name)
    assert "unpack it, and verify the folder" in judge(data)[2] and "请先解压，再核验文件夹" in judge(data, chinese=True)[2]


def test_a_folder_is_bounded(judge, members, tmp_path):
    """Sizes are summed before anything is read: a document of 4 GiB without content is refused at once."""
    document, _ = archive_forgeries.true_and_forged(members)
    folder = write(members, tmp_path / "case")
    rest = sum(map(len, members.values())) - len(members[document])
    os.truncate(folder / document, 2**32 - rest)
    status, _, said = judge(folder)
    assert status == 1 and "beyond the limits" in said


def test_folders(judge, members, tmp_path):
    for name, path, intact in bundle_containers.folders(members, tmp_path / "made"):
        status, report, said = judge(path)
        assert status == (0 if intact else 1), (name, said)
        if intact:
            assert report["container"] == "folder" and "unpacked; contents intact" in said


def test_the_independent_verifier_says_the_same(lease, members, tmp_path):
    def verify(what) -> tuple[int, str]:
        command = [sys.executable, INDEPENDENT, "bundle", what, "--key", lease.vkey]
        done = subprocess.run(command, capture_output=True, timeout=60)
        return done.returncode, (done.stdout + done.stderr).decode()

    path, wrong = tmp_path / "case.zip", {}
    path.write_bytes(archive(members))
    assert verify(path)[0] == 0 and "container: as issued" in verify(path)[1]
    for each in bundle_containers.archives(members, tmp_path / "made"):
        path.write_bytes(each.data)
        status, said = verify(path)
        told = each.name != "members that share their bytes" or "overlaps" in said
        if (status == 0) != each.intact or ("repacked; contents intact" in said) != each.intact or status not in (0, 1) or not told:
            wrong[each.name] = status, said
    for name, folder, intact in bundle_containers.folders(members, tmp_path / "folders"):
        status, said = verify(folder)
        if (status == 0) != intact or ("unpacked; contents intact" in said) != intact or status not in (0, 1):
            wrong[name] = status, said
    assert wrong == {}


def test_the_instructions_go_by_the_files(lease, members, tmp_path):
    for name, folder, intact in bundle_containers.folders(members, tmp_path / "folders"):
        if name == "a folder in a folder":
            folder = folder / "case"        # one goes where manifest.json is
        done = instructions.run(folder, lease.vkey)
        said = done.stdout.decode()
        assert done.returncode == (0 if intact else 1), (name, said)
        assert ("passed over" in said and "Thumbs.db" in said) == (name == "leavings")


def test_the_leavings_are_named(judge, members, tmp_path):
    _, report, said = judge(write(members | {"a\u202eb/._x": b"", "Thumbs.db": b"x"}, tmp_path / "case"))
    assert "passed over: Thumbs.db, a???b/._x" in said and note_of(report)["outcome"] == "noted"
    assert "经" not in said and "已解压，内容完好；已略过" in judge(tmp_path / "case", chinese=True)[2]


def test_a_bomb_takes_no_room(bin, members, tmp_path):
    """Neither claims nor contents are taken at their word: the program stays below a quarter of what they would take."""
    (tmp_path / "bomb.zip").write_bytes(bundle_containers.bomb(members))
    script = 'ulimit -v 1500000; exec "$0" verify "$1"'
    done = subprocess.run(["sh", "-c", script, bin / "evidence", tmp_path / "bomb.zip"], capture_output=True, timeout=60)
    assert done.returncode == 1 and b"larger than what is taken" in done.stdout, done


def test_what_follows_a_common_folder_is_the_bundle(judge, members):
    """Where manifest.json is nowhere, nothing is guessed."""
    lost = {f"case/{name}": data for name, data in members.items() if name != "manifest.json"}
    assert judge(bundle_containers.zipped(lost))[0] == 1
