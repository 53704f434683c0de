"""What happened: a clean and a degraded candidate, each gated at a desk and then asked for in a pull request.

- Every figure of the pages is taken from here, and what the pages claim about it is checked here first.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from importlib import metadata

from tests.act.runner import Ran

from lynxgate.decision.verdict import Verdict, parse_verdict
from pr_pages.html import Check
from pr_pages.places import Places
from pr_pages.terminal import Session, run_session

PULLS = {"clean": 41, "degraded": 42}
SEMVERS = {"clean": "v0.3.1", "degraded": "v0.3.2"}
EXITS = {"clean": 0, "degraded": 2}
PACKAGES = ("lynxgate", "mlflow")


@dataclass(frozen=True)
class Baseline:
    """The committed baseline at the time of a run."""

    sha256: str
    git_blob: str
    eval_set_md5: str
    source_canonical_sha: str


@dataclass(frozen=True)
class Production:
    """The production registry at one time: the version in production, and its objects by hash."""

    version: str | None
    objects: Mapping[str, str]

    @property
    def digest(self) -> str:
        """One hash over all names and hashes."""
        return hashlib.sha256(repr(sorted(self.objects.items())).encode()).hexdigest()


@dataclass(frozen=True)
class Gated:
    """One candidate's way through the gate, twice: at the desk and in the pull request.

    ``falls`` has by how many pp all rows (under `ALL_ROWS`) and each bucket that keeps it out fell.
    """

    name: str
    run_id: str
    semver: str
    canonical_sha: str
    falls: Mapping[str, str]
    request: str
    session: Session
    exit_code: int
    workflow: Ran
    comment: str
    check: Check
    baseline: Baseline
    before: Production
    after: Production
    tags: Mapping[str, str]

    @property
    def pull(self) -> int:
        """The number of its pull request."""
        return PULLS[self.name]


@dataclass(frozen=True)
class Story:
    """Both candidates, and the versions of what judged them."""

    clean: Gated
    degraded: Gated
    versions: Mapping[str, str]


def tell(places: Places, say: Callable[[str], None]) -> Story:
    """Let it happen.

    Raises:
        SystemExit: something did not end as the pages say it does.
    """
    say("training, and a degraded copy")
    run_id = places.log("train.py")
    degraded_id = places.log("register_degraded.py", "--from-run", run_id)
    clean = _gate(places, "clean", run_id, say)
    degraded = _gate(places, "degraded", degraded_id, say)
    _check(clean, degraded)
    return Story(clean, degraded, {name: metadata.version(name) for name in PACKAGES})


def _gate(places: Places, name: str, run_id: str, say: Callable[[str], None]) -> Gated:
    semver = SEMVERS[name]
    say(f"{name}: the gate at a desk")
    commands = [["lynxgate", "pull"], ["lynxgate", "gate", "--run-id", run_id, "--semver", semver]]
    commands.append(["lynxgate", "registry", "verify"])
    session = run_session(commands, folder=places.desk, environment=places.environment())
    say(f"{name}: the pull request")
    request = f"mlflow_run_id={run_id} semver={semver}"
    before = Production(places.production(), places.objects())
    baseline = _baseline(places)
    ran = places.ask(PULLS[name], request)
    verdict = parse_verdict((places.shed.artifacts / "evaluation/verdict.json").read_bytes(), where=name)
    if baseline != _baseline(places):
        raise SystemExit(f"{name}: the baseline on main has changed")
    sent = places.github.calls("POST", "/check-runs")[-1].body
    return Gated(
        name=name,
        run_id=run_id,
        semver=semver,
        canonical_sha=str(verdict.candidate.canonical_sha),
        falls=_falls(verdict),
        request=request,
        session=session,
        exit_code=session.codes[1],
        workflow=ran,
        comment=places.comment(PULLS[name]),
        check=Check(sent["name"], sent["conclusion"], sent["output"]["title"]),
        baseline=baseline,
        before=before,
        after=Production(places.production(), places.objects()),
        tags=places.tags(run_id),
    )


def _baseline(places: Places) -> Baseline:
    data, blob = places.baseline()
    found = json.loads(data)
    source = found["source"]["canonical_sha"]
    return Baseline(hashlib.sha256(data).hexdigest(), blob, found["eval_set_dvc_hash"], source)


def _falls(verdict: Verdict) -> dict[str, str]:
    rows = ([verdict.aggregate] if verdict.aggregate else []) + list(verdict.blocking)
    return {row.bucket: f"{-float(Fraction(row.difference_pp or 0)):.2f}" for row in rows}


def _check(clean: Gated, degraded: Gated) -> None:
    """Hold what happened against what the pages are about to say."""
    for gated in (clean, degraded):
        expected = EXITS[gated.name]
        _hold(gated.session.codes == (0, expected, 0), f"the desk ended with {gated.session.codes}", gated)
        _hold((gated.workflow.code == 0) == (expected == 0), f"the workflow ended with {gated.workflow.code}", gated)
        _hold(f"is {gated.canonical_sha}" in gated.session.text, "desk and PR saw two models", gated)
    _hold(clean.tags == {f"lynxgate.semver.{clean.semver}": clean.canonical_sha}, f"tags {clean.tags}", clean)
    _hold(clean.after.version == clean.semver, f"{clean.after.version} is in production", clean)
    _hold(degraded.before.objects == degraded.after.objects, "the registry changed", degraded)
    _hold(degraded.before.version == degraded.after.version == clean.semver, "production changed", degraded)
    _hold(not degraded.tags, f"tags {degraded.tags}", degraded)
    named = re.findall(r"^\| `(\S+)`", degraded.comment, re.M)
    _hold(named == ["tense.past_participle"] == list(degraded.falls)[1:], f"{named} fell", degraded)


def _hold(held: bool, otherwise: str, gated: Gated) -> None:
    if not held:
        raise SystemExit(f"{gated.name}: {otherwise}\n{gated.session.text}\n{gated.workflow.log[-6000:]}")
