"""The names of a file in its repository, as a pull request's list of changed files may have them.

- A path on the command line may be absolute, contain `.` and `..`, be relative to a subdirectory, or lead through
  symbolic links. GitHub lists one form only: relative to the repository's root, without any of these.
- A link on the way is a file of the repository too: who changes it changes what the path means.
- It reads directories and links, and never the file. The file need not exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lynxgate.errors import UsageFailure

_MAX_LINKS = 40  # as Linux


@dataclass(frozen=True)
class RepositoryFile:
    """A file of the repository: its path from the root, and the paths of the links that lead to it."""

    path: str
    links: frozenset[str] = frozenset()

    def is_changed_by(self, changed: str) -> bool:
        """Return whether a changed file of this name changes what the path means.

        It does if it is the file, a link to it, or in the place of one of its directories (a link or a submodule).
        Case does not matter, since there are checkouts in which it does not.
        """
        wanted = changed.casefold()
        names = (PurePosixPath(name.casefold()) for name in (self.path, *self.links))
        return any(wanted in (str(each), *map(str, each.parents)) for each in names)


def locate(path: Path, workspace: Path | None) -> RepositoryFile:
    """Return the file at ``path``, which is relative to the current directory, in the repository that it belongs to.

    The root is the outermost directory with a ``.git`` inside ``workspace``, the runner's directory for checkouts, or
    ``workspace`` itself if there is none: a download without git has no ``.git``. Without a workspace it is the
    nearest one above the current directory, or the current directory.

    Raises:
        UsageFailure: the file is outside the repository, or the links have no end.
    """
    here = Path.cwd().resolve()
    root = _find_root(here, None if workspace is None else workspace.resolve())
    target, links = _follow(here, path)
    if not target.is_relative_to(root):
        raise UsageFailure(f"{path} is outside the repository {root}; name the committed file")
    # A link outside the repository is the machine's; no pull request can change it.
    inside = frozenset(link.relative_to(root).as_posix() for link in links if link.is_relative_to(root))
    return RepositoryFile(target.relative_to(root).as_posix(), inside)


def _find_root(here: Path, workspace: Path | None) -> Path:
    above = [here, *here.parents]
    if workspace is not None and workspace in above:
        # Outermost first: the nearest may be a submodule, whose files GitHub does not list.
        inside = [each for each in reversed(above) if each.is_relative_to(workspace)]
        return next((each for each in inside if (each / ".git").exists()), workspace)
    return next((each for each in above if (each / ".git").exists()), here)


def _follow(here: Path, path: Path) -> tuple[Path, list[Path]]:
    """Return the absolute path without links that ``path`` leads to, and the links on the way.

    `Path.resolve` gives the end only. A ``..`` is the parent of what a link leads to, as for the system.
    """
    links: list[Path] = []
    found = Path(path.anchor) if path.is_absolute() else here
    ahead = [*path.relative_to(path.anchor).parts][::-1]
    while ahead:
        part = ahead.pop()
        if part == "..":
            found = found.parent
            continue
        found /= part
        if found.is_symlink():
            links.append(found)
            if len(links) > _MAX_LINKS:
                raise UsageFailure(f"{path}: the symbolic links on the way have no end")
            target = found.readlink()
            found = Path(target.anchor) if target.is_absolute() else found.parent
            ahead += [*target.relative_to(target.anchor).parts][::-1]
    return found, links
