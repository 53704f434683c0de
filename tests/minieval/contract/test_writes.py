"""A file is written whole, or not at all."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from minieval.contract.exits import CannotJudge, UsageFailure
from minieval.contract.writes import check_output, discard_output, write_atomically, write_output


def test_a_write_replaces_the_whole_file(tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    target.write_text("old")
    write_atomically(target, b"new")
    assert target.read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["out.json"]


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(OSError, match=r"."):
        write_atomically(target, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]
    with pytest.raises(CannotJudge, match="choose another --output"):
        write_output(target, b"new")


@pytest.mark.slow
def test_a_write_that_is_killed_leaves_old_or_new(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_bytes(b"a" * 100_000)
    script = (
        "import sys, pathlib; from minieval.contract.writes import write_atomically as w\n"
        "print('go', flush=True)\n"
        "while True:\n    [w(pathlib.Path(sys.argv[1]), c * 100_000) for c in (b'a', b'b')]"
    )
    writer = subprocess.Popen([sys.executable, "-c", script, str(target)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    with writer.stdout:
        assert writer.stdout.readline() == b"go\n"
        for _ in range(200):
            data = target.read_bytes()
            assert len(data) == 100_000
            assert len(set(data)) == 1
        writer.kill()
        writer.wait()
    assert target.read_bytes() in (b"a" * 100_000, b"b" * 100_000)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestWhatStandsThere:
    """Row D2: an output is what the user named, and not only its name."""

    def test_a_device_stays_a_device(self, tmp_path: Path) -> None:
        device = tmp_path / "null"
        device.symlink_to("/dev/null")
        write_output(device, b"new")
        assert device.is_symlink()
        assert Path("/dev/null").is_char_device()

    def test_a_full_device_is_one_sentence(self) -> None:
        with pytest.raises(CannotJudge, match="/dev/full: cannot be written: No space left on device"):
            write_output(Path("/dev/full"), b"new")

    def test_a_pipe_is_written_to(self, tmp_path: Path) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        read: list[bytes] = []
        reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
        reader.start()
        write_output(pipe, b"new")
        reader.join(10)
        assert read == [b"new"]
        assert pipe.is_fifo()

    def test_a_link_is_followed_and_its_target_keeps_its_mode(self, tmp_path: Path) -> None:
        target, link = tmp_path / "there" / "target", tmp_path / "link"
        target.parent.mkdir()
        target.write_bytes(b"old")
        target.chmod(0o600)
        link.symlink_to("there/target")
        write_output(link, b"new")
        assert link.is_symlink()
        assert (target.read_bytes(), mode(target)) == (b"new", 0o600)
        assert [each.name for each in target.parent.iterdir()] == ["target"]

    def test_a_link_to_nothing_creates_its_target(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to("deep/target")
        write_output(tmp_path / "link", b"new")
        assert (tmp_path / "deep" / "target").read_bytes() == b"new"

    def test_a_loop_of_links_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "a").symlink_to("b")
        (tmp_path / "b").symlink_to("a")
        with pytest.raises(CannotJudge, match="Too many levels of symbolic links"):
            write_output(tmp_path / "a", b"new")
        assert (tmp_path / "a").is_symlink()

    @pytest.mark.parametrize(("umask", "expected"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
    def test_a_new_file_respects_the_umask(self, tmp_path: Path, umask: int, expected: int) -> None:
        before = os.umask(umask)
        try:
            write_output(tmp_path / "new", b"new")
        finally:
            os.umask(before)
        assert mode(tmp_path / "new") == expected

    def test_a_name_of_255_bytes_is_written_and_a_longer_one_refused(self, tmp_path: Path) -> None:
        write_output(tmp_path / ("ä" * 127), b"new")
        with pytest.raises(CannotJudge, match="File name too long"):
            write_output(tmp_path / ("x" * 256), b"new")
        assert len(list(tmp_path.iterdir())) == 1

    def test_only_a_regular_file_is_removed_and_a_link_stays(self, tmp_path: Path) -> None:
        target, link, pipe = tmp_path / "target", tmp_path / "link", tmp_path / "pipe"
        target.write_bytes(b"old")
        link.symlink_to("target")
        os.mkfifo(pipe)
        for each in (link, pipe, tmp_path, tmp_path / "missing"):
            discard_output(each)
        assert sorted(each.name for each in tmp_path.iterdir()) == ["link", "pipe"]


class TestNoOutputIsAnInput:
    """Row D3."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        source = tmp_path / "source"
        source.write_bytes(b"read")
        return source

    def test_by_every_name(self, source: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to("source")
        os.link(source, tmp_path / "hard")
        (tmp_path / "folder").mkdir()
        for name in ("source", "link", "hard", "folder/../source"):
            with pytest.raises(UsageFailure, match="is the input"):
                check_output(tmp_path / name, (None, source))

    def test_nor_anything_in_a_directory_that_is_read(self, tmp_path: Path) -> None:
        bundle = tmp_path / "bundle"
        bundle.mkdir()
        for name in ("bundle", "bundle/new", "bundle/deep/new"):
            with pytest.raises(UsageFailure):
                check_output(tmp_path / name, (bundle,))
        check_output(tmp_path / "bundle.json", (bundle,))

    def test_other_files_missing_inputs_and_devices_are_no_reason(self, source: Path, tmp_path: Path) -> None:
        check_output(tmp_path / "new", (source, tmp_path / "missing", tmp_path / ("x" * 300)))
        check_output(Path("/dev/null"), (Path("/dev/null"), source))
