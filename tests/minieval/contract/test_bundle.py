"""The canonical SHA, its published vectors, and the copy that may be predicted with."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from minieval.contract.bundle import read_manifest, read_placed, settle, stage
from minieval.contract.exits import CannotJudge, IntegrityFailure
from minieval.contract.manifest import describe_difference
from minieval.contract.mlmodel import MLMODEL, VOLATILE_KEYS, canonical_mlmodel
from tests.minieval.candidates import MLMODEL as LOGGED
from tests.minieval.candidates import UPPER, write_bundle, write_files

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "vectors" / "canonical_sha.json").read_text(encoding="utf-8")
)["vectors"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_published_vectors_hold(vector: dict[str, Any], tmp_path: Path) -> None:
    manifest = read_manifest(write_files(tmp_path / "bundle", vector["files"]))
    assert manifest.canonical_bytes().decode() == vector["canonical_json"]
    assert manifest.canonical_sha == vector["canonical_sha"]
    assert hashlib.sha256(vector["canonical_json"].encode()).hexdigest() == vector["canonical_sha"]
    assert canonical_mlmodel(tmp_path / "bundle").decode() == vector["mlmodel"]
    assert f'"sha256":"{hashlib.sha256(vector["mlmodel"].encode()).hexdigest()}"' in vector["canonical_json"]


def test_the_same_model_logged_again_has_the_same_sha() -> None:
    by_name = {vector["name"]: vector["canonical_sha"] for vector in VECTORS}
    assert by_name["least"] == by_name["logged-again"]
    assert len(set(by_name.values())) == len(VECTORS) - 1


@given(st.sampled_from(["MLmodel", "code/candidate.py", "weights.npz"]), st.integers(0, 10_000), st.integers(1, 255))
@pytest.mark.slow
def test_any_changed_byte_of_the_model_changes_the_sha(name: str, position: int, change: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        bundle = write_bundle(Path(scratch) / "b", UPPER, files={"weights.npz": bytes(50)})
        before = read_manifest(bundle)
        data = bytearray((bundle / name).read_bytes())
        data[position % len(data)] ^= change
        (bundle / name).write_bytes(data)
        if name != MLMODEL:
            after = read_manifest(bundle)
            assert after.canonical_sha != before.canonical_sha
            assert describe_difference(before, after) == f"changed: {name}"
            return
        try:
            # In YAML a byte may be a comment's, a quote or a volatile value: then the meaning is the same.
            same = canonical_mlmodel(bundle) == canonical_mlmodel(write_bundle(Path(scratch) / "c", UPPER))
        except CannotJudge:
            return
        assert (read_manifest(bundle).canonical_sha == before.canonical_sha) is same


def test_times_modes_and_empty_folders_do_not_matter(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "b", UPPER)
    before = read_manifest(bundle).canonical_sha
    os.utime(bundle / "MLmodel", (1, 1))
    (bundle / "code" / "candidate.py").chmod(0o600)
    (bundle / "empty").mkdir()
    assert read_manifest(bundle).canonical_sha == before


def test_added_and_removed_files_are_named(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "b", UPPER, files={"old": b"1"})
    before = read_manifest(bundle)
    (bundle / "old").rename(bundle / "new")
    assert describe_difference(before, read_manifest(bundle)) == "missing: old; extra: new"


def test_what_is_staged_is_what_is_hashed(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "b", UPPER, files={"registered_model_meta": b"leak", "data/w": b"1"})
    manifest = stage(bundle, tmp_path / "staged")
    assert manifest == read_manifest(bundle)
    staged = {p.relative_to(tmp_path / "staged").as_posix() for p in (tmp_path / "staged").rglob("*") if p.is_file()}
    assert staged == {file.path for file in manifest.files} == {"MLmodel", "code/candidate.py", "data/w"}
    text = (tmp_path / "staged" / "MLmodel").read_text()
    assert not any(key in text for key in VOLATILE_KEYS)
    for file in manifest.files:
        assert hashlib.sha256((tmp_path / "staged" / file.path).read_bytes()).hexdigest() == file.sha256


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Every file of a folder with its bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_settled_is_what_is_hashed_and_staged(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "b", UPPER, files={"registered_model_meta": b"leak", "data/w": b"1"})
    hashed = read_manifest(bundle)
    stage(bundle, tmp_path / "staged")
    assert settle(bundle) == read_placed(bundle) == hashed
    assert bytes_of(bundle) == bytes_of(tmp_path / "staged")
    assert {name: hashlib.sha256(data).hexdigest() for name, data in bytes_of(bundle).items()} == {
        file.path: file.sha256 for file in hashed.files
    }
    assert settle(bundle) == hashed


@pytest.mark.parametrize("name", ["registered_model_meta", "MLmodel"])
def test_a_byte_more_in_a_placed_bundle_gives_another_sha(name: str, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "b", UPPER)
    sha = settle(bundle).canonical_sha
    with (bundle / name).open("ab") as file:
        file.write(b"run_id: x\n")
    assert read_manifest(bundle).canonical_sha == sha
    assert read_placed(bundle).canonical_sha != sha


def test_mlflow_loads_equal_values_of_equal_types_from_what_is_placed(tmp_path: Path) -> None:
    text = 'scale: 2.0\nsmall: 1.0e-07\ntext: "\\x85"\nbig: 9007199254740993\nkeys: {1: .nan}\nrun_id: r\n'
    bundle = write_files(tmp_path / "b", {MLMODEL: text})
    original = yaml.safe_load(text)
    settle(bundle)
    placed = yaml.safe_load((bundle / MLMODEL).read_text())
    del original["run_id"]
    assert repr(placed) == repr(original)


def break_with_link(bundle: Path) -> None:
    (bundle / "weights").symlink_to("/etc/passwd")


def break_with_folder_link(bundle: Path) -> None:
    (bundle / "data").symlink_to(bundle / "code")


def break_with_dangling_link(bundle: Path) -> None:
    (bundle / "registered_model_meta").symlink_to("nowhere")


def break_with_fifo(bundle: Path) -> None:
    os.mkfifo(bundle / "pipe")


def break_with_socket(bundle: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(bundle / "s"))


def break_with_name(bundle: Path) -> None:
    Path(os.fsdecode(os.fsencode(bundle) + b"/bad\xff")).touch()


@pytest.mark.parametrize(
    "break_it",
    [
        break_with_link,
        break_with_folder_link,
        break_with_dangling_link,
        break_with_fifo,
        break_with_socket,
        break_with_name,
    ],
)
@pytest.mark.parametrize("work", ["read", "read placed", "stage", "settle"])
def test_links_special_files_and_broken_names_are_refused(break_it: Any, work: str, tmp_path: Path) -> None:
    os.chdir(tmp_path)  # a socket's path is short
    bundle = write_bundle(Path("b"), UPPER)
    break_it(bundle)
    with pytest.raises(IntegrityFailure):
        {"read": read_manifest, "read placed": read_placed, "settle": settle}.get(
            work, lambda folder: stage(folder, tmp_path / "staged")
        )(bundle)


def test_a_linked_mlmodel_or_bundle_is_refused(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "b", UPPER)
    (tmp_path / "link").symlink_to(bundle)
    with pytest.raises(CannotJudge):
        read_manifest(tmp_path / "link")
    (bundle / "MLmodel").unlink()
    (bundle / "MLmodel").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IntegrityFailure):
        read_manifest(bundle)


def test_the_message_for_a_missing_or_empty_bundle_has_an_advice(tmp_path: Path) -> None:
    with pytest.raises(CannotJudge, match="lynxgate fetch"):
        read_manifest(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CannotJudge, match="no MLmodel at its root"):
        read_manifest(tmp_path / "empty")


def test_the_example_bundle_is_as_mlflow_logs_it() -> None:
    assert {line.split(":")[0] for line in LOGGED.splitlines()} >= VOLATILE_KEYS - {
        "model_uuid",
        "mlflow_version_updated",
    }
