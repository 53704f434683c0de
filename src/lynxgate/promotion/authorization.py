"""Who may promote, and to which registry: CI to production, a laptop with LYNX_ENV=dev to dev. No third path.

The CI variable guards against mistakes, not against malice: what really authorises are the registry's and MLflow's
credentials, which only the promoting job holds.
"""

from __future__ import annotations

from collections.abc import Mapping

from lynxgate.errors import Refused
from lynxgate.registry.layout import Environment

# What a CI system says of itself: the first three "true", Jenkins its address.
CI_VARIABLES = ("GITHUB_ACTIONS", "GITLAB_CI", "CIRCLECI", "JENKINS_URL")


def authorise(environ: Mapping[str, str]) -> Environment:
    """The kind of registry this process may write to.

    Raises:
        Refused: when it is neither CI nor has said LYNX_ENV=dev.
    """
    match environ.get("LYNX_ENV", ""):
        case "dev":
            return Environment.DEV
        case "" | "ci" if _runs_in_ci(environ):
            return Environment.PRODUCTION
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


def check_registry(allowed: Environment, found: Environment | None, location: str) -> None:
    """Make sure the registry is of the kind this process may write to; a missing dev registry is made later.

    Raises:
        Refused: when it is for the other environment, or there is none for production.
    """
    if found is None and allowed is Environment.PRODUCTION:
        raise Refused(
            f"{location} is no registry; a maintainer makes one with "
            "`lynxgate registry init --environment production --registry <where>`"
        )
    if found is not None and found is not allowed:
        raise Refused(f"{location} is a registry for {found}, and this process may write only to one for {allowed}")
