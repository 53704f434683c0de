"""Which adapter serves an address. An adapter, and with it its SDK, is imported only when it is needed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from lynxgate.adapters.local import DirectoryStore
from lynxgate.errors import CannotJudge, UsageFailure
from lynxgate.ports import EvalData, RegistryStore, Signer, Tracking, Verifier
from lynxgate.promotion.context import PromotionContext
from lynxgate.pull_request.forge import Forge
from lynxgate.pull_request.workflow_env import Workflow
from lynxgate.registry.layout import read_environment
from lynxgate.registry.record import Journal, name_owner
from lynxgate.settings import DEFAULT_CACHE, DEFAULT_REGISTRY, mlflow_bounds, tracking_uri

if TYPE_CHECKING:
    from lynxgate.pipeline import GateServices

LEASE = timedelta(minutes=5)  # how long a promotion belongs to a process that does not renew it; each step renews


def open_tracking(uri: str | None = None) -> Tracking:
    """Open the tracking server at ``uri`` (default: from the environment).

    Raises:
        UsageFailure: the scheme has no adapter, or its extra is not installed.
        StoreFailure: there is no such database.
    """
    address = tracking_uri(uri)
    match address.partition("://")[0].partition("+")[0]:
        case "http" | "https" | "sqlite" | "postgresql" | "mysql" | "mssql":
            try:
                from lynxgate.adapters.mlflow import MlflowTracking
            except ImportError as error:
                raise _not_installed("mlflow", error) from error
            return MlflowTracking(address, timeout=mlflow_bounds().request_seconds)
        case _:
            raise UsageFailure("the tracking URI must be http://, https://, or a database such as sqlite:///mlflow.db")


def open_eval_data(root: Path) -> EvalData:
    """Open the DVC repository at ``root``.

    Raises:
        UsageFailure: the extra is not installed.
    """
    try:
        from lynxgate.adapters.dvc import DvcEvalData
    except ImportError as error:
        raise _not_installed("dvc", error) from error
    return DvcEvalData(root)


def open_forge(workflow: Workflow) -> Forge:
    """Open the repository that a workflow runs in, with the workflow's token.

    Raises:
        UsageFailure: the environment lacks repository or token, or the extra is not installed.
    """
    if workflow.repository is None:
        raise UsageFailure("GITHUB_REPOSITORY is not set; set it to the repository, owner/name")
    if workflow.token is None:
        raise UsageFailure("GITHUB_TOKEN is not set; in a workflow, set env: GITHUB_TOKEN: ${{ github.token }}")
    try:
        from lynxgate.adapters.github import GithubForge
    except ImportError as error:
        raise _not_installed("github", error) from error
    return GithubForge(workflow.repository, workflow.token, api_url=workflow.api_url, account=workflow.account)


def _not_installed(extra: str, error: ImportError) -> UsageFailure:
    return UsageFailure(f"this needs {extra}, which is not installed ({error.name}): pip install 'lynxgate[{extra}]'")


def open_store(registry: str) -> RegistryStore:
    """Open the registry at a directory or ``s3://bucket/prefix``; it need not exist yet.

    Raises:
        UsageFailure: the scheme has no adapter, or its extra is not installed.
    """
    if registry.startswith("s3://"):
        try:
            from lynxgate.adapters.s3 import S3Store
        except ImportError as error:
            raise _not_installed("s3", error) from error
        return S3Store(registry)
    if "://" in registry:
        raise UsageFailure(f"{registry[:80]!r} is not a registry address; use a directory or s3://bucket/prefix")
    return DirectoryStore(Path(registry))


def open_existing_store(registry: str) -> RegistryStore:
    """Open a registry that exists, for reading.

    Raises:
        CannotJudge: there is no registry at this address.
        UsageFailure: as `open_store`.
    """
    store = open_store(registry)
    if read_environment(store) is None:
        raise CannotJudge(f"{store.location} is not a registry; name one with --registry or LYNXGATE_REGISTRY")
    return store


def open_promotion(registry: str, tracking: Tracking, signer: Signer | None = None) -> PromotionContext:
    """Open a registry together with MLflow, for one owner that promotes and, with a ``signer``, signs.

    Raises:
        UsageFailure: the address has no adapter, or its extra is not installed.
    """
    store = open_store(registry)
    return PromotionContext(
        store, Journal(store, name_owner(), LEASE), tracking, mlflow_bounds().step_seconds, signer=signer
    )


def open_gate_services(
    registry: str = DEFAULT_REGISTRY,
    *,
    mlflow_uri: str | None = None,
    signing_key: Path | None = None,
    root: Path = Path(),
    cache: Path = DEFAULT_CACHE,
    environ: Mapping[str, str] = os.environ,
) -> GateServices:
    """Open everything that `lynxgate.pipeline.gate` needs from outside.

    ``registry`` is a directory or ``s3://bucket/prefix``; ``mlflow_uri`` the tracking server (default: the
    environment's); ``signing_key`` a PEM file, to sign the evidence; ``root`` the DVC repository with the eval set;
    ``cache`` a directory for fetched candidates.

    Raises:
        UsageFailure: an address has no adapter, or its extra is not installed.
        StoreFailure: the tracking database does not exist.
    """
    from lynxgate.candidate.cache import Cache
    from lynxgate.pipeline import GateServices

    tracking = open_tracking(mlflow_uri)
    return GateServices(
        eval_data=open_eval_data(root),
        tracking=tracking,
        context=open_promotion(registry, tracking, open_signer(signing_key) if signing_key else None),
        cache=Cache(cache),
        environ=environ,
    )


def open_signer(key: Path) -> Signer:
    """Open the Ed25519 private key in a PEM file.

    Raises:
        UsageFailure: the file has no such key, or the extra is not installed.
    """
    try:
        from lynxgate.adapters.dsse import DsseSigner
    except ImportError as error:
        raise _not_installed("sign", error) from error
    return DsseSigner(key)


def open_verifier(key: Path) -> Verifier:
    """Open the Ed25519 public key in a PEM file.

    Raises:
        UsageFailure: the file has no such key, or the extra is not installed.
    """
    try:
        from lynxgate.adapters.dsse import DsseVerifier
    except ImportError as error:
        raise _not_installed("sign", error) from error
    return DsseVerifier(key)
