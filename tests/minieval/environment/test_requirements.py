"""Only plain requirements are read from a bundle: everything that a tool would obey beyond them is refused by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from minieval.contract.exits import CannotJudge
from minieval.environment.difference import find_differences
from minieval.environment.requirements import MAX_BYTES, MAX_LINES, Asked, check_plain, parse_lines, read_asked

PLAIN = [
    "mlflow==3.17.2",
    "scikit-learn",
    "numpy <2, >=1.20",
    "pandas[parquet,excel]~=2.2",
    "torch==2.1.0+cu121",
    "tomli>=2; python_version < '3.11'",
    'uvloop==0.19 ; sys_platform == "linux" and platform_machine != "arm64"',
    "zope.interface!=5.0.*",
]

HOSTILE = {
    "editable folder": "-e ./code",
    "editable, long": "--editable=./code",
    "editable from git": "-e git+https://example.org/x.git#egg=x",
    "another file": "-r other.txt",
    "another file, joined": "-rother.txt",
    "another file at a URL": "-r https://example.org/r.txt",
    "constraints": "-c /etc/passwd",
    "index": "-i https://example.org/simple",
    "index, long": "--index-url https://example.org/simple",
    "extra index": "--extra-index-url https://${SECRET}@example.org/simple",
    "no index": "--no-index",
    "links": "--find-links /tmp",
    "trusted host": "--trusted-host example.org",
    "pre-releases": "--pre",
    "source": "--no-binary :all:",
    "feature": "--use-feature=fast-deps",
    "hash": "numpy==1.26.4 --hash=sha256:00",
    "option of the build": "numpy --config-settings=x=y",
    "URL": "https://example.org/x-1.0-py3-none-any.whl",
    "URL of a file": "file:///tmp/x-1.0-py3-none-any.whl",
    "name at a URL": "x @ https://example.org/x-1.0-py3-none-any.whl",
    "name at a URL with a variable": "x @ https://example.org/${SECRET}/x.whl",
    "name at a file": "x@file:///tmp/x.whl",
    "git": "git+https://example.org/x.git",
    "path": "./x-1.0-py3-none-any.whl",
    "absolute path": "/tmp/x-1.0-py3-none-any.whl",
    "parent": "..",
    "variable": "${PACKAGE}",
    "variable of a shell": "$PACKAGE",
    "variable of another shell": "%PACKAGE%",
    "command": "`id`",
    "continued": "numpy \\",
    "escaped": "numpy\\==1",
    "arbitrary equality": "numpy===1.0",
    "two": "numpy pandas",
    "separated": "numpy;pandas",
    "unknown marker": "numpy; exec_name == 'x'",
    "control character": "numpy\x1b[2J",
    "return inside": "numpy\r--pre",
    "form feed": "numpy\x0c-e .",
    "line separator": "numpy\u2028-e .",
    "next line": "numpy\x85-e .",
    "no-break space": "\u00a0-e .",
    "full-width": "\uff4eumpy",
    "zero": "numpy\x00",
    "trailing comment": "numpy # -e .",
    "too long": "n" * 200,
}


@pytest.mark.parametrize("line", PLAIN)
def test_plain_requirements_are_read(line: str) -> None:
    asked = Asked(parse_lines(f"# a comment\n\n{line}\n"))
    check_plain(asked)
    assert len(asked.requirements) == 1


@pytest.mark.parametrize("line", HOSTILE.values(), ids=HOSTILE.keys())
def test_everything_else_is_refused_with_its_line(line: str, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_bytes(f"mlflow\n{line}\n".encode())
    with pytest.raises(CannotJudge, match=r"requirements.txt, line 2: .*name\[extras\] specifier ; marker") as caught:
        check_plain(read_asked(tmp_path))
    assert str(caught.value).isprintable()


def test_what_is_no_text_or_too_large_is_refused(tmp_path: Path) -> None:
    for data, words in (
        (b"numpy\n\xff", "not UTF-8 text at byte 6"),
        (b"n\n" * (MAX_LINES + 2), "more than 1000 lines"),
        (b" " * (MAX_BYTES + 1), "larger than"),
        ("\ufeffnumpy".encode(), "not printable ASCII"),
    ):
        (tmp_path / "requirements.txt").write_bytes(data)
        with pytest.raises(CannotJudge, match=words):
            check_plain(read_asked(tmp_path))
    (tmp_path / "requirements.txt").unlink()
    with pytest.raises(CannotJudge, match=r"has no requirements\.txt"):
        check_plain(read_asked(tmp_path))


@pytest.mark.parametrize("version", ["/tmp/python", "3.11; id", "3", "3.11.7.1", "2.7", "pypy3.9", "3.11\\n", "$P"])
def test_only_a_version_is_read_from_python_env(version: str, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("mlflow\n")
    (tmp_path / "python_env.yaml").write_text(f'python: "{version}"\n')
    with pytest.raises(CannotJudge, match=r"python_env.yaml: python is "):
        check_plain(read_asked(tmp_path))


def test_the_version_of_python_env(tmp_path: Path) -> None:
    assert read_asked(tmp_path) == Asked(None)
    (tmp_path / "python_env.yaml").write_text("python: 3.9.18\nbuild_dependencies: [pip]\n")
    assert read_asked(tmp_path).python == "3.9.18"
    (tmp_path / "python_env.yaml").write_text("python: 3.10\n")  # the number 3.1
    assert read_asked(tmp_path).problem.startswith("python is '3.1'")
    (tmp_path / "python_env.yaml").write_text("python: !!python/object/apply:os.system [id]\n")
    assert read_asked(tmp_path).problem


@pytest.mark.parametrize("marker", ['os_name ~= "posix"', 'python_version ~= "abc"', '"linux" ~= sys_platform'])
def test_a_marker_that_cannot_be_evaluated_applies(marker: str) -> None:
    (line,) = parse_lines(f"roman==4.2; {marker}")
    assert line.requirement is not None
    (difference,) = find_differences([line.requirement], {}, "3.11.7")
    assert (difference.package, difference.installed) == ("roman", None)
