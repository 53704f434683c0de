"""The text of the two pages and of their manifest: everything in them is from the story and the workflow files."""

from __future__ import annotations

import hashlib
import json
import platform
import textwrap
from collections.abc import Mapping, Sequence

from tests.act.repository import EVAL_SET
from tests.github_standin import BOT

from lynxgate.decision.compare import ALL_ROWS
from lynxgate.escape import as_code
from pr_pages.html import Conversation
from pr_pages.places import AUTHOR, BASELINE, LABEL
from pr_pages.rights import OF_A_PULL_REQUEST, WORKFLOWS, Job, read_jobs, read_secrets
from pr_pages.story import Gated, Production, Story

SCHEMA = "38-ci-gate.pages/1"
PAGES = {"clean": "pr_clean.md", "degraded": "pr_regressed.md"}
TITLES = {"clean": "Grammar tutor, trained anew", "degraded": "Grammar tutor, with a new wrapper"}
_ALTS = {
    "terminal": "A terminal in which `lynxgate gate` goes through the six stages for run {run_id}: {ending}.",
    "pull_request": (
        "Pull request {pull}: {author} comments the request, adds the label {label}, and github-actions comments: "
        "{headline}. The check lynxgate ends with {conclusion}."
    ),
}
_HOW = """\
`act` ran the shipped `deploy-grammar-tutor.yml` and `promote.yml` on this request, with the same MLflow server and a
registry on a real S3 server. GitHub, the runner, third-party actions and `uv` are the stand-ins of `tests/act`. The
picture is the comment as it was posted, rendered by `pr_pages/` and drawn by a headless browser. What the workflow does
in other cases is in [scenarios.md](../../docs/scenarios.md)."""
_EMPTY = """\
The registry was made for these pages, so that nothing was in production before `v0.3.1`; the baseline's figures are
those of `v0.3.0`."""
_ACCOUNTS = """\
`GITHUB_TOKEN` is the job's own, with what its `permissions:` give. The MLflow account of `evaluate` is the repository's
and may read; the one of `promote`, under the same names, is the environment's and may set tags. The registry's
credentials are no secret anywhere: they come by OIDC, to `promote`, and to `count` those of a role that may add one
entry; `count` runs where `LYNXGATE_COUNT_ROLE` is set, and here it was not. See [secrets.md](../../docs/secrets.md) and
[github.md](../../docs/github.md)."""


def picture_name(gated: Gated, kind: str) -> str:
    """Where a picture lies, beside the page."""
    return f"pictures/{PAGES[gated.name].removesuffix('.md')}_{kind}.png"


def conversation(gated: Gated) -> Conversation:
    """What the pull request shows."""
    title = TITLES[gated.name]
    return Conversation(gated.pull, title, AUTHOR, gated.request, LABEL, BOT, gated.comment, gated.check)


def write_page(gated: Gated) -> str:
    """The page of one candidate."""
    parts = [
        "# A clean candidate is promoted" if gated.name == "clean" else "# A regressed candidate is refused",
        "<!-- Made by `just pr-pages`, together with its pictures and manifest.json. Do not edit. -->",
        _summary(gated),
        _asked(gated),
        _desk(gated),
        _workflow(gated),
        _changed(gated),
        _secrets(gated),
    ]
    return "\n\n".join(parts) + "\n"


def _summary(gated: Gated) -> str:
    if gated.name == "clean":
        same = gated.canonical_sha == gated.baseline.source_canonical_sha
        bundle = "It is that very bundle again, by its canonical SHA. " if same else ""
        return _fill(
            "The grammar tutor, trained with the seed of the version that the baseline's figures are from. "
            f"{bundle}Every bucket holds, and `{gated.semver}` goes into production."
        )
    (fell,) = [bucket for bucket in gated.falls if bucket != ALL_ROWS]
    return _fill(
        "The same model in a wrapper that spoils one past participle in ten "
        "(`register_degraded.py`, `degraded_model/`). The accuracy on all rows fell by "
        f"{gated.falls[ALL_ROWS]} pp, which a tolerance of 2 pp on the aggregate would let through. "
        f"`{fell}` fell by {gated.falls[fell]} pp, and nothing is promoted."
    )


def _asked(gated: Gated) -> str:
    source = "`train.py`" if gated.name == "clean" else "`register_degraded.py`"
    return f"""## What {AUTHOR} did

1. Logged the model with {source}, which printed the run's id, `{gated.run_id}`.
2. Tried it at the desk: `lynxgate gate`, with `LYNX_ENV=dev` and so into a registry of the desk's own.
3. Opened pull request {gated.pull}, and commented one line:

   ```
   {gated.request}
   ```

4. Set the label `{LABEL}`."""


def _desk(gated: Gated) -> str:
    ending = f"promoted {gated.semver}" if gated.exit_code == 0 else "a regression, exit 2"
    alt = _ALTS["terminal"].format(run_id=gated.run_id, ending=ending)
    stages = "\n".join(
        f"| {number} {name} | {as_code(said)} |" for number, name, said in read_stages(gated.session.text)
    )
    return f"""## What the six stages said

![{alt}]({picture_name(gated, "terminal")})

| stage | at the desk |
|---|---|
{stages}

The gate ended with exit code {gated.exit_code}. MLflow was a real server on loopback, DVC's remote the repository's.

{_folded("The terminal as text", "text", gated.session.text)}"""


def read_stages(text: str) -> list[tuple[int, str, str]]:
    """Number, name and word of each stage in what `lynxgate gate` printed."""
    found = []
    for line in text.splitlines():
        if line.startswith("[") and "/6] " in line:
            name, _, said = line.partition("] ")[2].partition(": ")
            found.append((int(line[1]), name, said))
    return found


def _workflow(gated: Gated) -> str:
    headline = read_headline(gated.comment)
    alt = _ALTS["pull_request"].format(
        pull=gated.pull, author=AUTHOR, label=LABEL, headline=headline, conclusion=gated.check.conclusion
    )
    rows = "\n".join(f"| `{job.name}` | {_ending(gated, job)} |" for job in read_jobs())
    return f"""## What the pull request got

![{alt}]({picture_name(gated, "pull_request")})

| job | ending |
|---|---|
{rows}

One comment, and the check `{gated.check.name}` on the head: {gated.check.conclusion}, "{gated.check.title}".

{_HOW}

{_folded("The comment as it was posted", "markdown", gated.comment)}"""


def read_headline(comment: str) -> str:
    """How the gate ended, by its comment."""
    return next(line for line in comment.splitlines() if line.startswith("### ")).removeprefix("### ")


def _ending(gated: Gated, job: Job) -> str:
    failed = [step.name for step in gated.workflow.steps if (step.job, step.result) == (job.name, "failure")]
    if failed:
        return f"failed at *{failed[0]}*"
    return gated.workflow.jobs.get(job.name, "skipped")


def _changed(gated: Gated) -> str:
    same = gated.before.objects == gated.after.objects
    objects = "the same, bit for bit" if same else "the promotion's record, event, evidence, and `tags.json`"
    blob = gated.baseline.git_blob[:12]
    tag = ", ".join(f"`{key}` = `{value}`" for key, value in gated.tags.items()) or "none"
    return f"""## What changed, and what did not

| | before | after | |
|---|---|---|---|
| version in production | {_version(gated.before)} | {_version(gated.after)} | |
| objects in the production registry | {len(gated.before.objects)} | {len(gated.after.objects)} | {objects} |
| tags of Lynxgate on the MLflow run | | {tag} | |
| `{BASELINE}` on `main`, by git's hash | `{blob}` | `{blob}` | a promotion moves no baseline |

The candidate's canonical SHA is `{gated.canonical_sha}`.
{_EMPTY}"""


def _version(production: Production) -> str:
    return f"`{production.version}`" if production.version else "none"


def _secrets(gated: Gated) -> str:
    rows = "\n".join(_row(gated, job) for job in read_jobs())
    elsewhere = {path.name: read_secrets(path.name) for path in sorted(WORKFLOWS.glob("*.yml"))}
    of_these = {name for file in OF_A_PULL_REQUEST for name in elsewhere[file]}
    others = [f"`{name}` (`{file}`)" for file, names in elsewhere.items() for name in names if name not in of_these]
    never = f" No job here has {', '.join(others)}." if others else ""
    return f"""## Which secrets the jobs had, by name

| job | ran | token may | secrets | variables |
|---|---|---|---|---|
{rows}

{_ACCOUNTS}{never}"""


def _row(gated: Gated, job: Job) -> str:
    ran = "yes" if job.name in gated.workflow.jobs else "no"
    may = ", ".join(f"`{name}: {level}`" for name, level in job.permissions.items())
    name = f"`{job.name}`" + (f" in `{job.environment}`" if job.environment else "")
    return f"| {name} | {ran} | {may} | {_listed(job.secrets)} | {_listed(job.variables)} |"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def _fill(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def _folded(summary: str, language: str, text: str) -> str:
    return f"<details>\n<summary>{summary}</summary>\n\n````{language}\n{text}\n````\n\n</details>"


def write_manifest(story: Story, pictures: Mapping[str, bytes]) -> str:
    """The manifest: which runs, under which baseline, judged by what; and the pictures' hashes."""
    document = {
        "_comment": "Made by `just pr-pages`, together with the pages and pictures that it names.",
        "schema": SCHEMA,
        "tool": {**story.versions, "python": platform.python_version()},
        "eval_set": {"path": EVAL_SET, "md5": story.clean.baseline.eval_set_md5},
        "clean": _about(story.clean, pictures),
        "degraded": _about(story.degraded, pictures),
    }
    return json.dumps(document, indent=2) + "\n"


def _about(gated: Gated, pictures: Mapping[str, bytes]) -> dict[str, object]:
    own = [picture_name(gated, kind) for kind in _ALTS]
    return {
        "page": PAGES[gated.name],
        "pictures": {name: hashlib.sha256(pictures[name]).hexdigest() for name in own},
        "mlflow_run_id": gated.run_id,
        "semver": gated.semver,
        "canonical_sha": gated.canonical_sha,
        "exit_code": gated.exit_code,
        "check": gated.check.conclusion,
        "eval_baseline": {"sha256": gated.baseline.sha256, "git_blob": gated.baseline.git_blob},
        "production": {"before": gated.before.version, "after": gated.after.version},
        "registry_sha256": {"before": gated.before.digest, "after": gated.after.digest},
    }
