"""Wheels written by hand, and a package index of them in a folder."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path


def write_wheel(
    folder: Path, name: str, version: str, files: Mapping[str, str], *, needs: tuple[str, ...] = ()
) -> Path:
    """Write a pure wheel with these files, and its metadata."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {each}\n" for each in needs)
    wheel = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    contents = {**files, f"{info}/METADATA": metadata, f"{info}/WHEEL": wheel}
    record = "".join(f"{path},,\n" for path in (*contents, f"{info}/RECORD"))
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in {**contents, f"{info}/RECORD": record}.items():
            archive.writestr(inside, text)
    return path


def write_index(folder: Path, wheels: list[Path]) -> str:
    """Write a simple index of wheels, and return its URL."""
    names: dict[str, list[Path]] = {}
    for wheel in wheels:
        names.setdefault(wheel.name.partition("-")[0], []).append(wheel)
    for name, files in names.items():
        (folder / name).mkdir(parents=True)
        links = "".join(
            f'<a href="{file.as_uri()}#sha256={hashlib.sha256(file.read_bytes()).hexdigest()}">{file.name}</a>\n'
            for file in files
        )
        (folder / name / "index.html").write_text(f"<!doctype html><html><body>\n{links}</body></html>\n")
    return folder.as_uri()
