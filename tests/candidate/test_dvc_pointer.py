"""What DVC names for an eval set, in every form that the real DVC writes; what cannot be used is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from dvc_data.hashfile.hash import file_md5

from lynxgate.adapters.dvc import DvcEvalData
from lynxgate.candidate.dvc_pointer import find_pointer, parse_dvc_file, parse_dvc_lock
from lynxgate.candidate.eval_set_check import check_eval_set, verify_pulled
from lynxgate.errors import CannotJudge, IntegrityFailure
from minieval.contract.evalset import dvc2_md5, identify
from tests.dvc_repository import ROW, DvcRepository, make_dvc_repository

MD5 = "a" * 32


def check(path: Path) -> None:
    """The eval set agrees with what DVC names and with a baseline that was measured on it, and with no other."""
    found = identify(path)
    assert verify_pulled(path) == check_eval_set(found.dvc_md5, found.sha256, path) == found
    with pytest.raises(IntegrityFailure, match="The eval set is not the one"):
        check_eval_set(MD5, found.sha256, path)


class TestDvc2:
    """Without ``hash: md5`` the md5 is that of DVC 2, of text with LF line ends."""

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"a\r\nb\r\n",
            b"a\rb\n\r\n\r",
            b"\0a\r\nb",
            bytes(range(256)) * 5 + b"\r\n",
            "é\r\n".encode() * 500,
            b"x" * (2**20 - 1) + b"\r\n" + b"y\r\n",
            b"x\r\n" * 2**19 + b"\0" * 600 + b"\r\n",
        ],
        ids=range(8),
    )
    def test_the_md5_is_that_of_dvc(self, data: bytes, tmp_path: Path) -> None:
        path = tmp_path / "rows.jsonl"
        path.write_bytes(data)
        assert dvc2_md5(path) == file_md5(str(path), name="md5-dos2unix")

    @pytest.mark.parametrize("kind", ["file", "folder"])
    def test_crlf(self, kind: str, dvc_repository: DvcRepository) -> None:
        target = dvc_repository.file if kind == "file" else dvc_repository.folder
        files = [path for path in [target, *target.rglob("*")] if path.is_file()]
        for path in files:
            rows = path.read_bytes().replace(b"\n", b"\r\n")
            path.unlink()  # it may be a link into the cache
            path.write_bytes(rows)
        md5 = dvc2_md5(target)
        pointer = target.with_name(f"{target.name}.dvc")
        # Only line ends differ from what the fixture added: DVC 2 named both alike.
        assert yaml.safe_load(pointer.read_text())["outs"][0]["md5"] == md5 != identify(target).dvc_md5
        pointer.write_text(f"outs:\n- md5: {md5}\n  path: {target.name}\n")
        check(target)
        with pytest.raises(
            IntegrityFailure, match=f"set the baseline's eval_set_dvc_hash to {identify(target).dvc_md5}"
        ):
            check_eval_set(md5, identify(target).sha256, target)
        files[0].write_bytes(files[0].read_bytes().replace(b"walk", b"wolk"))
        with pytest.raises(IntegrityFailure, match="dvc pull --force"):
            verify_pulled(target)
        # In DVC 3 the md5 is of the bytes themselves.
        files[0].write_bytes(files[0].read_bytes().replace(b"wolk", b"walk"))
        pointer.write_text(f"outs:\n- md5: {md5}\n  hash: md5\n  path: {target.name}\n")
        with pytest.raises(IntegrityFailure, match="dvc pull --force"):
            verify_pulled(target)

    def test_it_is_pulled_from_where_dvc_2_put_it(self, dvc_repository: DvcRepository) -> None:
        target = dvc_repository.file
        rows = target.read_bytes().replace(b"\n", b"\r\n")
        md5 = dvc2_md5(target)
        dvc_repository.forget()
        stored = dvc_repository.root / "remote" / md5[:2] / md5[2:]
        stored.parent.mkdir(parents=True, exist_ok=True)
        stored.write_bytes(rows)
        target.with_name("rows.jsonl.dvc").write_text(f"outs:\n- md5: {md5}\n  path: rows.jsonl\n")
        DvcEvalData(dvc_repository.root).pull(target)
        assert target.read_bytes() == rows
        check(target)


class TestStages:
    @pytest.fixture
    def made(self, dvc_repository: DvcRepository) -> Path:
        """An eval set that a stage makes in a folder of its own."""
        (dvc_repository.root / "sub").mkdir()
        stage = {"wdir": "sub", "cmd": "cp ../rows.jsonl made.jsonl", "deps": ["../rows.jsonl"], "outs": ["made.jsonl"]}
        (dvc_repository.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"make": stage}}))
        dvc_repository.run("repro", "-q")
        dvc_repository.run("push", "-q")
        return dvc_repository.root / "sub" / "made.jsonl"

    @pytest.mark.slow
    def test_an_output_is_named_by_the_lock(self, made: Path, dvc_repository: DvcRepository) -> None:
        assert find_pointer(made).file == dvc_repository.root / "dvc.lock"
        check(made)
        dvc_repository.forget()
        made.unlink()
        with pytest.raises(CannotJudge, match=f"lynxgate pull {made}"):
            verify_pulled(made)
        DvcEvalData(dvc_repository.root).pull(made)
        check(made)
        made.chmod(0o644)
        made.unlink()
        made.write_text("changed\n")
        with pytest.raises(IntegrityFailure, match=f"dvc pull --force {made}"):
            verify_pulled(made)
        with pytest.raises(IntegrityFailure, match="neither in DVC's cache"):
            DvcEvalData(dvc_repository.root).pull(made)

    @pytest.mark.slow
    def test_a_relative_path_and_another_directory(self, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(made.parent)
        check(Path("made.jsonl"))
        monkeypatch.chdir(made.parent.parent)
        check(Path("sub/made.jsonl"))

    @pytest.mark.slow
    def test_another_output_is_not_it(self, made: Path) -> None:
        other = made.with_name("other.jsonl")
        other.write_text("x\n")
        with pytest.raises(CannotJudge, match=r"no dvc\.lock in its folder or above names other\.jsonl"):
            find_pointer(other)

    @pytest.mark.slow
    def test_the_lock_of_another_repository_does_not_count(self, made: Path) -> None:
        inner = made.parent / "inner"
        make_dvc_repository(inner)
        (inner / "made.jsonl").write_text("x\n")
        (made.parent.parent / "dvc.lock").write_text(
            json.dumps({"stages": {"m": {"outs": [{"path": "sub/inner/made.jsonl", "md5": MD5}]}}})
        )
        with pytest.raises(CannotJudge, match=r"no dvc\.lock"):
            find_pointer(inner / "made.jsonl")

    @pytest.mark.parametrize(
        ("stages", "folder"),
        [
            ("", "made"),
            ("stages: {make: {cmd: x}}", "made"),
            ("stages: {make: {wdir: a/../b}}", "b/made"),
            ("stages: {make: {foreach: [1], do: {wdir: b}}}", "b/made"),
            ("stages: [1]", "made"),
            ("stages: {make: {wdir: 3}}", "made"),
        ],
    )
    def test_working_folders(self, stages: str, folder: str) -> None:
        for name in ("make", "make@1"):
            lock = f"schema: '2.0'\nstages: {{'{name}': {{cmd: x, outs: [{{path: made, md5: {MD5}, hash: md5}}]}}}}"
            assert [each.path for each in parse_dvc_lock(lock.encode(), stages.encode(), where="it")] == [folder]

    @pytest.mark.parametrize("text", ["stages: [1]", "- a", "a: [", "stages: {a: {outs: 3}}", "stages: {a: 1}"])
    def test_what_is_no_lock(self, text: str) -> None:
        with pytest.raises(CannotJudge, match=r"it: not a dvc\.lock we can read.*dvc repro"):
            list(parse_dvc_lock(text.encode(), b"", where="it"))


class TestDvcFiles:
    @pytest.mark.slow
    def test_wdir(self, dvc_repository: DvcRepository) -> None:
        folder = dvc_repository.root / "data"
        folder.mkdir()
        (folder / "more.jsonl").write_text(ROW.format("x"))
        dvc_repository.run("add", "-q", "data/more.jsonl")
        pointer = folder / "more.jsonl.dvc"
        tree = yaml.safe_load(pointer.read_text())
        tree["outs"][0]["path"] = "data/more.jsonl"
        pointer.write_text(yaml.safe_dump({"wdir": "..", **tree}))
        check(folder / "more.jsonl")
        (folder / "more.jsonl").unlink()
        DvcEvalData(dvc_repository.root).pull(folder / "more.jsonl")
        check(folder / "more.jsonl")
        pointer.write_text(yaml.safe_dump({"wdir": "../rows", **tree}))
        with pytest.raises(CannotJudge, match=r"its output is '\.\./rows/data/more\.jsonl'"):
            find_pointer(folder / "more.jsonl")

    def test_a_version_aware_folder_names_its_files(self, dvc_repository: DvcRepository) -> None:
        folder = dvc_repository.folder
        pointer = folder.with_name("rows.dvc")
        md5 = yaml.safe_load(pointer.read_text())["outs"][0]["md5"]
        files = [
            {"relpath": path.relative_to(folder).as_posix(), "md5": identify(path).dvc_md5, "size": path.stat().st_size}
            for path in sorted(folder.rglob("*.jsonl"), reverse=True)
        ]
        versioned = [{**each, "cloud": {"store": {"version_id": "1"}}} for each in files]
        pointer.write_text(yaml.safe_dump({"outs": [{"path": "rows", "hash": "md5", "files": versioned}]}))
        assert find_pointer(folder).named.md5 == md5
        check(folder)
        shutil.rmtree(folder)
        DvcEvalData(dvc_repository.root).pull(folder)
        check(folder)

    @pytest.mark.slow
    def test_an_import(self, dvc_repository: DvcRepository, tmp_path: Path) -> None:
        source = make_dvc_repository(tmp_path / "source")
        source.run("config", "core.no_scm", "false")
        for command in (
            ["init", "-q"],
            ["add", "rows.jsonl.dvc", ".dvc/config"],
            ["commit", "-qm", "data"],
        ):
            identity = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"]
            subprocess.run(["git", *identity, *command], cwd=source.root, check=True, capture_output=True)
        dvc_repository.run("import", str(source.root), "rows.jsonl", "-o", "imported.jsonl")
        imported = dvc_repository.root / "imported.jsonl"
        assert "repo:" in imported.with_name("imported.jsonl.dvc").read_text()
        check(imported)
        imported.unlink()
        shutil.rmtree(dvc_repository.root / ".dvc" / "cache")
        DvcEvalData(dvc_repository.root).pull(imported)
        check(imported)

    def test_a_part_of_a_folder_is_not_an_eval_set(self, dvc_repository: DvcRepository) -> None:
        with pytest.raises(CannotJudge, match=r"as a part of the folder .*rows\.dvc.*name that folder"):
            find_pointer(dvc_repository.folder / "deep" / "ü.jsonl")

    @pytest.mark.parametrize("path", ["/", ".", "", "/proc/version", "../x", "nothing/at/all"])
    def test_paths_that_no_repository_has(self, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(CannotJudge, match=r"name the eval set itself|must be versioned with DVC"):
            find_pointer(Path(path))

    @pytest.mark.parametrize(
        ("out", "words"),
        [
            ({"path": "x"}, "has no md5 yet.*dvc update"),
            ({"path": "x", "etag": "1", "hash": "etag"}, "of the kind 'etag'"),
            ({"path": "x", "md5": MD5, "hash": "blake3"}, "of the kind 'blake3'"),
            ({"path": "x", "hash": "md5", "files": [{"relpath": "a"}]}, "not one file with an md5"),
        ],
    )
    def test_what_cannot_be_checked(self, out: object, words: str) -> None:
        with pytest.raises(CannotJudge, match=words):
            parse_dvc_file(yaml.safe_dump({"outs": [out]}).encode(), where="it")
