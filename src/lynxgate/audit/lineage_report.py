"""Render a lineage: as text, as a Mermaid flowchart, as JSON values.

- Names from documents and runs (the path of an eval set) are hostile text until they are escaped here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lynxgate.audit.lineage import Generation
from lynxgate.escape import visible
from minieval.contract.documents import Json

_HARMLESS = frozenset(" ./_:")


def as_text(generations: Sequence[Generation], *, queried: bool) -> str:
    """Render a block of lines for each version; ``queried`` is whether MLflow was queried for the training data."""
    return "\n".join(line for generation in generations for line in _block(generation, queried=queried))


def as_mermaid(generations: Sequence[Generation]) -> str:
    """Render a Mermaid flowchart whose arrows point from an origin to what was made from it."""
    lines = ["flowchart LR"]
    for number, each in enumerate(generations):
        lines.append(f"  v{number}[{_label(each.semver, each.canonical_sha[:12])}]")
        lines.append(f"  r{number}({_label('run', each.run_id)}) --> v{number}")
        if each.training_data_sha256 is not None:
            lines.append(f"  d{number}[({_label('training data', each.training_data_sha256[:12])})] --> r{number}")
        lines.append(
            f"  e{number}[({_label('eval set', each.eval_set.path or '', each.eval_set.dvc_md5)})] --> v{number}"
        )
        if each.parent is not None:
            lines.append(f"  v{number + 1} -->|baseline| v{number}")
        elif each.origin_sha is not None or each.origin_semver is not None:
            kind = "the same bundle" if each.origin_sha == each.canonical_sha else "not promoted here"
            origin = _label(kind, each.origin_semver or "", (each.origin_sha or "")[:12])
            lines.append(f"  o[{origin}] -->|baseline| v{number}")
    return "\n".join(lines)


def as_tree(generations: Sequence[Generation]) -> Json:
    """Return plain JSON values, the newest version first."""
    return [
        {
            "semver": each.semver,
            "canonical_sha": each.canonical_sha,
            "mlflow_run_id": each.run_id,
            "training_data_sha256": each.training_data_sha256,
            "eval_set": each.eval_set.model_dump(mode="json"),
            "baseline": {
                "sha256": each.baseline_sha256,
                "source_canonical_sha": each.origin_sha,
                "source_semver": each.parent or each.origin_semver,
                "source_is_promoted": each.parent is not None,
            },
            "evidence": each.evidence,
            **({} if each.promoted_from is None else {"promoted_from": each.promoted_from.model_dump(mode="json")}),
        }
        for each in generations
    ]


def _block(each: Generation, *, queried: bool) -> Iterator[str]:
    rows = "" if each.eval_set.rows is None else f", {each.eval_set.rows} rows"
    yield f"{each.semver} {each.canonical_sha}"
    yield f"  run            {each.run_id}"
    unknown = "the run does not name it" if queried else "not looked up"
    yield f"  training data  {each.training_data_sha256 or unknown}"
    yield f"  eval set       {visible(each.eval_set.path or 'unnamed')}, md5 {each.eval_set.dvc_md5}{rows}"
    yield f"  baseline       {each.baseline_sha256}, measured on {_describe_origin(each)}"
    yield f"  evidence       {each.evidence}"
    if each.promoted_from is not None:
        registry, head = each.promoted_from.registry, each.promoted_from.head
        yield f"  promoted from  {registry.environment}, registry {registry.id}, head {head}"


def _describe_origin(each: Generation) -> str:
    if each.parent is not None:
        return each.parent
    named = " ".join(name for name in (each.origin_semver, each.origin_sha) if name is not None)
    if not named:
        return "a model it does not name"
    return f"{named}, " + ("the same bundle" if each.origin_sha == each.canonical_sha else "not promoted here")


def _label(*parts: str) -> str:
    """Render a quoted label of several lines without markup: Mermaid writes any character as ``#<code>;``."""
    return '"' + "<br/>".join(_escape(part) for part in parts if part) + '"'


def _escape(text: str) -> str:
    return "".join(c if (c.isascii() and c.isalnum()) or c in _HARMLESS else f"#{ord(c)};" for c in text)
