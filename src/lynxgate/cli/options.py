"""Options and arguments that more than one command takes: the one home of their names, help texts and defaults.

- An option that a single command takes stands at that command.
- Importing this module costs Typer and the settings, nothing else: every command imports it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from lynxgate.settings import DEFAULT_REGISTRY

BASELINE: Final = Path("eval_baseline.json")
BUNDLE: Final = Path("candidate")
EVALUATION: Final = Path("candidate_eval.json")
VERDICT: Final = Path("verdict.json")
REGISTRY: Final = DEFAULT_REGISTRY
COMMENT_KIND: Final = "gate"
REGISTRY_SUMMARY: Final = "Read, verify and change a registry."
CI_SUMMARY: Final = "Commands for CI workflows."

# Documents
BaselinePath = Annotated[Path, typer.Option("--baseline", help="The committed baseline.")]
CandidatePath = Annotated[Path, typer.Option("--candidate", help="The candidate's evaluation.")]
EvaluationPath = Annotated[Path, typer.Option("--evaluation", help="The evaluation that minieval wrote.")]
BundlePath = Annotated[Path, typer.Option("--bundle", help="The directory of the candidate bundle.")]
EvalSetPath = Annotated[
    Path | None,
    typer.Option("--eval-set", help="The eval set itself; needed by rules that use groups of its rows."),
]
OwnEvalSetPath = Annotated[
    Path | None, typer.Option("--eval-set", help="The eval set: a file or a directory. [default: the baseline's]")
]
VerdictPath = Annotated[
    Path, typer.Option("--verdict", help="The verdict that `lynxgate compare --output` wrote; may be missing.")
]
VerdictArgument = Annotated[Path, typer.Argument(help="A verdict that `lynxgate compare --output` wrote.")]

# What a version or a run is called
RunId = Annotated[str, typer.Option("--run-id", help="The MLflow run of the candidate (32 hex digits).")]
SomeRunId = Annotated[
    str | None, typer.Option("--run-id", help="The MLflow run of the candidate (32 hex digits); or name it by --model.")
]
RegisteredModel = Annotated[
    str | None,
    typer.Option("--model", help="The candidate as models:/name/7 or models:/name@alias, instead of its run."),
]
ModelName = Annotated[
    str | None,
    typer.Option("--model-name", help="The name of the model in its run, for a run that logged several."),
]
NewSemver = Annotated[str, typer.Option("--semver", help="The version to promote it as, for example v0.3.1.")]
EvaluatedSemver = Annotated[
    str | None, typer.Option("--semver", help="The version of the evaluated model, for example v0.3.1.")
]
Remove = Annotated[
    list[str] | None, typer.Option("--remove", help="A bucket to remove from the baseline; may be repeated.")
]
RemoveMetric = Annotated[
    list[str] | None, typer.Option("--remove-metric", help="A metric to remove from the baseline; may be repeated.")
]
AcceptZero = Annotated[
    list[str] | None,
    typer.Option("--accept-zero", help="A bucket in which it is right that no answer is right (0 %); may be repeated."),
]
AcceptRegression = Annotated[
    list[str] | None,
    typer.Option(
        "--accept-regression",
        help="A bucket or metric whose regression is accepted, under an active baseline; may be repeated.",
    ),
]

# Services
Registry = Annotated[
    str,
    typer.Option("--registry", envvar="LYNXGATE_REGISTRY", help="The registry: a directory or s3://bucket/prefix."),
]
TrackingUri = Annotated[
    str | None, typer.Option("--tracking-uri", envvar="MLFLOW_TRACKING_URI", help="The MLflow tracking server.")
]
SigningKey = Annotated[
    Path | None,
    typer.Option(
        "--signing-key",
        envvar="LYNXGATE_SIGNING_KEY",
        help="An Ed25519 private key (PEM) to sign with.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print strict JSON on stdout.")]

# Workflows
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the result on stdout and send nothing.")]
EventPath = Annotated[Path | None, typer.Option("--event", help="The event's file. [default: $GITHUB_EVENT_PATH]")]
ReceiptPath = Annotated[
    Path | None,
    typer.Option("--receipt", help="The output of `lynxgate promote` or `gate`; may be missing or empty."),
]
CountedPath = Annotated[
    Path | None, typer.Option("--counted", help="The output of `lynxgate registry count-gate`; may be missing.")
]
ExitCode = Annotated[int, typer.Option("--exit-code", help="The exit code of the step that ended the gate.")]
LogPath = Annotated[
    Path | None, typer.Option("--log", "--said", help="The stderr of that step; its last lines are shown.")
]
RequestedRunId = Annotated[str | None, typer.Option("--run-id", help="The requested MLflow run.")]
RequestedSemver = Annotated[str | None, typer.Option("--semver", help="The requested version.")]
RequestedModel = Annotated[str | None, typer.Option("--model-name", help="The requested name of the model in its run.")]
HeadSha = Annotated[str | None, typer.Option("--head-sha", help="The gated commit. [default: the event's head]")]
CommentKind = Annotated[str, typer.Option("--kind", help="The kind of comment; a pull request has one of each kind.")]
