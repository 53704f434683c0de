"""Build an evaluation from what a reader found: a new one, or an existing one with figures added.

- An evaluation needs a bucket. A file with metrics only is added to an evaluation and never becomes one.
- Figures become buckets only where the user names them: those whose names match a glob of ``--buckets``.
- A document that figures are added to keeps its layout, its comments and every figure, byte for byte.
- An evaluation is as isolated as its weakest bucket: with buckets of another tool its isolation is ``external``.
- Metrics of two sources may come from two machines: the fingerprint then identifies both together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from lynxgate import __version__
from lynxgate.decision.consistency import check_evaluation
from lynxgate.decision.globs import matches
from lynxgate.decision.policy import ISOLATIONS
from lynxgate.errors import CannotJudge, UsageFailure
from lynxgate.importers import calibrax, flameiq, flat, kitt, pytest_benchmark
from lynxgate.importers.found import Found, check_amounts
from lynxgate.jsonedit import Path, edit
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import Json, canonical_json, list_reasons, parse_document, parse_json
from minieval.contract.report import (
    SCHEMA,
    Candidate,
    Environment,
    EvalSetIdentity,
    Evaluation,
    Evaluator,
    Measured,
)


@dataclass(frozen=True)
class Provider:
    """A format that can be read: its name, a description, and the reader of its bytes."""

    name: str
    description: str
    read: Callable[[bytes, str], Found]


@dataclass(frozen=True)
class Origin:
    """What the foreign file does not contain: its provider, the eval set, and the model that was measured."""

    provider: str
    eval_set: EvalSetIdentity
    candidate: Candidate


PROVIDERS = {
    each.name: each
    for each in (
        Provider("calibrax", "a Calibrax run: points with scenario, tags and metrics", calibrax.read),
        Provider("flameiq", "a FlameIQ performance snapshot, schema version 1", flameiq.read),
        Provider("flat", "one JSON object of names and numbers", flat.read),
        Provider("kitt", "KITT's metrics.json: benchmarks of quality and performance", kitt.read),
        Provider(
            "pytest-benchmark", "pytest-benchmark's --benchmark-json: median seconds a round", pytest_benchmark.read
        ),
    )
}


def read_foreign(provider: str, data: bytes, *, where: str, buckets: Sequence[str] = ()) -> Found:
    """Read a foreign file; ``buckets`` are globs of figures that are accuracies (shares) of buckets.

    Raises:
        UsageFailure: there is no such provider.
        CannotJudge: the file is not of the provider's format or has no figure, an amount is negative, or a glob matches
            nothing or not an accuracy.
    """
    if provider not in PROVIDERS:
        raise UsageFailure(f"no provider {provider!r}; choose from {', '.join(PROVIDERS)}")
    found = PROVIDERS[provider].read(data, where)
    if not found.metrics and not found.buckets:
        left = f" (left out: {found.left_out[0]})" if found.left_out else ""
        raise CannotJudge(f"{where}: it has no figure that can be kept{left}; is it the right file?")
    check_amounts(found, where=where)
    return _as_buckets(found, buckets, where) if buckets else found


def _as_buckets(found: Found, globs: Sequence[str], where: str) -> Found:
    chosen = {name for name in found.metrics if any(matches(glob, name) for glob in globs)}
    for glob in globs:
        if not any(matches(glob, name) for name in chosen):
            raise CannotJudge(f"{where}: no figure is called {glob!r}; correct --buckets")
    buckets = dict(found.buckets)
    for name in sorted(chosen):
        value = found.metrics[name].value
        if name in buckets:
            raise CannotJudge(f"{where}: {name!r} is a bucket already; correct --buckets")
        if not 0 <= value <= 1:
            raise CannotJudge(f"{where}: {name!r} is {value}, and an accuracy lies between 0 and 1; correct --buckets")
        buckets[name] = Measured(accuracy=value)
    # A chosen figure is no longer a metric: it would else be judged twice.
    rest = {name: metric for name, metric in found.metrics.items() if name not in chosen}
    return Found(rest, buckets, found.fingerprint, found.left_out)


def build_evaluation(found: Found, origin: Origin, *, where: str) -> Evaluation:
    """Build an evaluation from what was found.

    Raises:
        CannotJudge: there is no bucket, or a figure has a name that a document may not have.
    """
    if not found.buckets:
        raise CannotJudge(
            f"{where}: it has metrics and no bucket, and an evaluation needs one; add them to an evaluation with "
            "--into candidate_eval.json, or name the figures that are accuracies with --buckets"
        )
    return _validate(
        {
            "schema": SCHEMA,
            "candidate": origin.candidate,
            "eval_set": origin.eval_set,
            "evaluator": Evaluator(
                name=f"lynxgate import {origin.provider}", version=__version__, isolation=ISOLATIONS[0]
            ),
            "buckets": found.buckets,
            "metrics": found.metrics,
            "environment": Environment(fingerprint=found.fingerprint),
        },
        where,
    )


def add_to_evaluation(found: Found, evaluation: Evaluation, *, where: str) -> Evaluation:
    """Add the metrics and buckets that were found to an evaluation; no figure in it is replaced.

    Raises:
        CannotJudge: both have a metric or a bucket of one name.
    """
    for kind, ours, theirs in (
        ("metric", evaluation.metrics, found.metrics),
        ("bucket", evaluation.buckets, found.buckets),
    ):
        if twice := ours.keys() & theirs.keys():
            raise CannotJudge(f"{where}: the evaluation has a {kind} {min(twice)!r} already; import it once")
    # One fingerprint of both machines: equal only where both are.
    both = {"evaluation": evaluation.environment.fingerprint, "import": found.fingerprint}
    fingerprint = digest_bytes(canonical_json(both)) if all(both.values()) else both["evaluation"] or both["import"]
    return _validate(
        {
            **{name: getattr(evaluation, name) for name in ("candidate", "eval_set", "aggregate")},
            "evaluator": _weaken(evaluation.evaluator) if found.buckets else evaluation.evaluator,
            "schema": SCHEMA,
            "buckets": {**evaluation.buckets, **found.buckets},
            "metrics": {**evaluation.metrics, **found.metrics},
            "environment": evaluation.environment.model_copy(update={"fingerprint": fingerprint}),
        },
        where,
    )


def add_to_document(found: Found, data: bytes, *, where: str, into: str) -> bytes:
    """Return the bytes of an evaluation with what was found added; messages call the evaluation ``into``.

    Raises:
        CannotJudge: ``data`` is not an evaluation, or as `add_to_evaluation`.
    """
    evaluation = parse_document(data, Evaluation, where=into)
    merged = add_to_evaluation(found, evaluation, where=where)
    tree = parse_json(data, where=into)
    added: dict[str, dict[str, Json]] = {
        "metrics": {name: metric.model_dump(exclude_none=True) for name, metric in found.metrics.items()},
        "buckets": {name: figures.model_dump(exclude_none=True) for name, figures in found.buckets.items()},
        "environment": {},
        "evaluator": {},
    }
    if merged.environment.fingerprint != evaluation.environment.fingerprint:
        added["environment"] = {"fingerprint": merged.environment.fingerprint}
    if merged.evaluator is not None and merged.evaluator != evaluation.evaluator:
        added["evaluator"] = {"isolation": merged.evaluator.isolation}
    # Entries are added one by one to an object that exists, so that its layout and comments stay; else as a new object.
    changes: dict[Path, Json] = {}
    for key, entries in added.items():
        if key in tree:
            changes |= {(key, name): entry for name, entry in entries.items()}
        elif entries:
            changes[key,] = entries
    new = edit(data.decode(), changes).encode()
    # The edited bytes are parsed again: an edit must never write a document that a reader refuses.
    parse_document(new, Evaluation, where=f"{where}, added to {into}")
    return new


def _weaken(evaluator: Evaluator | None) -> Evaluator | None:
    """Return the evaluator of an evaluation that gets buckets of another tool: its isolation is not known to be more.

    One that names no isolation stays so: no policy with a minimum takes it.
    """
    if evaluator is None or evaluator.isolation is None:
        return evaluator
    return evaluator.model_copy(update={"isolation": ISOLATIONS[0]})


def _validate(parts: dict[str, object], where: str) -> Evaluation:
    try:
        evaluation = Evaluation.model_validate(parts)
    except ValidationError as error:
        raise CannotJudge(f"{where}: does not make a valid evaluation: {': '.join(list_reasons(error)[0])}") from error
    try:
        check_evaluation(evaluation)
    except CannotJudge as error:
        raise CannotJudge(f"{where}: {error}") from error
    return evaluation
