"""Which registry a process may write to: CI to all but dev ones, a laptop with LYNX_ENV=dev to a dev one.

The CI variable protects against mistakes, not against malice: what really authorises are the credentials of the
registry and of MLflow, which only the promoting job has.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from lynxgate.errors import Refused
from lynxgate.registry.environment import Environment
from lynxgate.registry.layout import RegistryMark
from minieval.contract.manifest import FORMAT

# What CI systems set: the first three to "true", Jenkins to its address.
CI_VARIABLES = ("GITHUB_ACTIONS", "GITLAB_CI", "CIRCLECI", "JENKINS_URL")


class Authority(Enum):
    """What a process may write to: with `CI`, every registry but those for dev; with `DEV`, only those for dev."""

    CI = "to every registry except one for dev"
    DEV = "only to one for dev"


def authorise(environ: Mapping[str, str]) -> Authority:
    """Return which registries this process may write to.

    Raises:
        Refused: it does not run in CI, and LYNX_ENV is not dev.
    """
    match environ.get("LYNX_ENV", ""):
        case "dev":
            return Authority.DEV
        case "" | "ci" if _runs_in_ci(environ):
            return Authority.CI
        case "" | "ci":
            raise Refused(
                f"promotions to production go through CI ({', '.join(CI_VARIABLES)}: none is set here); "
                "on a laptop set LYNX_ENV=dev and promote to a dev registry"
            )
        case other:
            raise Refused(f"LYNX_ENV is {other[:40]!r}; it may be unset, ci or dev")


def _runs_in_ci(environ: Mapping[str, str]) -> bool:
    *systems, jenkins = CI_VARIABLES
    return any(environ.get(name) == "true" for name in systems) or bool(environ.get(jenkins))


def check_registry(authority: Authority, found: Environment | None, location: str) -> None:
    """Check that the registry is one that this process may write to.

    A missing dev registry is accepted, since it is created on first use; any other is not: a mistyped address must
    not become one.

    Raises:
        Refused: it is of the other kind, or there is no registry.
    """
    if found is None and authority is Authority.CI:
        raise Refused(
            f"{location} is not a registry; a maintainer creates one with "
            "`lynxgate registry init --environment production --registry <where>`"
        )
    if found is not None and found.is_protected != (authority is Authority.CI):
        raise Refused(f"{location} is a registry for {found}, and this process may write {authority.value}")


def check_manifest_format(mark: RegistryMark | None, location: str) -> None:
    """Check that the entries of the registry have the format of the manifests that are made now.

    Raises:
        Refused: they have an older one. It is read and verified, and takes no new promotion.
    """
    if mark is not None and mark.manifest_format != FORMAT:
        raise Refused(
            f"{location} has entries in the format {mark.manifest_format}, and promotions are made in {FORMAT}; "
            "start a new registry (lynxgate registry init) and promote there"
        )
