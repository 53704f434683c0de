"""Fresh training seeds under the rule `guard`: does a clean candidate pass, and the degraded one fail where it should?

- Each seed trains a tutor, which is judged clean and mangled against the committed baseline, by the gate's own code,
  with the policy `POLICY` in place of the committed one.
- ``--keep`` holds the evaluations, so that they are trained once; `lynxgate calibrate` reads the same files.
- Exit 1 when a clean candidate does not pass, or a mangled one fails anywhere but in past participles.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

if TYPE_CHECKING:
    from lynxgate.decision.verdict import Verdict

ROOT = Path(__file__).parent.parent.parent
EVAL_SET = ROOT / "data/eval/phase-20.jsonl"
DEGRADED_BUCKET = "tense.past_participle"
FIRST = 102  # the seeds are FIRST, FIRST + 1, ...; the margins were chosen on seed 101, and on none of these
POLICY: Mapping[str, Any] = {
    "rule": "guard",
    "tolerance_pp": 3.0,
    "overall_tolerance_pp": 2.0,
    "buckets": {
        "spelling.*": {"tier": "advisory"},
        "tense.past_participle": {"tier": "critical"},
    },
}


def main(argv: Sequence[str] | None = None) -> int:
    """Train or read each seed's evaluations, judge them, print a table."""
    options = _parse(argv)
    options.keep.mkdir(parents=True, exist_ok=True)
    agreed = write_baseline(POLICY)
    faults = 0
    print("| seed | clean: all rows | clean | mangled: all rows | mangled: failing |\n|---|---|---|---|---|")
    for seed in range(options.first, options.first + options.seeds):
        paths = bring(seed, options.keep, options.eval_set)
        clean, mangled = (judge(path.read_bytes(), agreed, options.eval_set) for path in paths)
        print(f"| {seed} | {_describe(clean)} | {_describe(mangled)} |", flush=True)
        failing = [row.bucket for row in mangled.blocking]
        faults += (not clean.passed) + (failing != [DEGRADED_BUCKET])
    return 1 if faults else 0


def write_baseline(policy: Mapping[str, Any]) -> bytes:
    """The committed baseline with another policy."""
    tree = json.loads((ROOT / "eval_baseline.json").read_bytes())
    return json.dumps({**tree, "policy": dict(policy)}).encode()


def judge(evaluation: bytes, baseline: bytes, eval_set: Path = EVAL_SET) -> Verdict:
    """The gate's verdict on an evaluation; the tenses of one verb are one group."""
    from lynxgate.decision.decide import decide_bytes
    from lynxgate.decision.groups import read_groups

    return decide_bytes(evaluation, baseline, groups=read_groups(eval_set))[0]


def bring(seed: int, keep: Path, eval_set: Path = EVAL_SET) -> tuple[Path, Path]:
    """The evaluations of a seed's clean and mangled tutor, trained and evaluated where they are not kept yet."""
    paths = keep / f"seed-{seed}-clean.json", keep / f"seed-{seed}-mangled.json"
    if not all(path.exists() for path in paths):
        from degraded_model.wrapper import SEED, SHARE, is_hit, mangle
        from train import show_progress
        from training import train
        from verbs import read_verbs, split

        verbs, _ = split(read_verbs())
        tutor = train(verbs, seed, progress=show_progress)
        prompts = [json.loads(line)["prompt"] for line in eval_set.read_text().splitlines()]
        clean = tutor.inflect(prompts)
        pairs = zip(prompts, clean, strict=True)
        mangled = [mangle(form) if is_hit(prompt, seed=SEED, share=SHARE) else form for prompt, form in pairs]
        for path, answers in zip(paths, (clean, mangled), strict=True):
            path.write_bytes(write_evaluation(answers, eval_set))
    return paths


def write_evaluation(answers: Sequence[str], path: Path = EVAL_SET) -> bytes:
    """The evaluation of these answers to the eval set, scored by minieval in this process."""
    from minieval.contract.report import SCHEMA, Evaluation, dump_evaluation
    from minieval.data.stream import open_eval_set
    from minieval.evaluation import read_truth
    from minieval.task.buckets import BucketReader
    from minieval.task.document import CONVENTIONS
    from minieval.task.marking import Marker
    from minieval.task.scores import Exact
    from minieval.task.tally import Tally

    stream = open_eval_set(path, CONVENTIONS)
    buckets, marker = BucketReader(CONVENTIONS, stream.roles), Marker(CONVENTIONS, Exact())
    tally = Tally(buckets.names, graded=False, trials=1)
    for batch in stream.batches(8192):
        given = answers[batch.start : batch.start + len(batch.table)]
        tally.add(marker.mark(read_truth(batch), [given]), *buckets.read(batch.table, batch.where))
    scored = tally.measure()
    identity = stream.identity.model_copy(update={"path": EVAL_SET.relative_to(ROOT).as_posix()})
    document = {"schema": SCHEMA, "eval_set": identity, "aggregate": scored.aggregate, "buckets": scored.buckets}
    return dump_evaluation(Evaluation.model_validate(document))


def _describe(verdict: Verdict) -> str:
    row = verdict.aggregate
    moved = "" if row is None or row.difference_pp is None else f"{Decimal(_float(row.difference_pp)):+.2f} pp"
    if verdict.passed:
        return f"{moved} | passed"
    return f"{moved} | " + ", ".join(f"{each.bucket} ({each.outcome})" for each in verdict.blocking)


def _float(text: str) -> float:
    from fractions import Fraction

    return float(Fraction(text))


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Judge fresh training seeds under the rule guard.")
    parser.add_argument("--seeds", type=int, default=20, help="how many (default: 20)")
    parser.add_argument("--first", type=int, default=FIRST, help=f"the first of them (default: {FIRST})")
    parser.add_argument("--eval-set", type=Path, default=EVAL_SET, help="the eval set (default: the repository's)")
    parser.add_argument("--keep", type=Path, default=Path(".lynxgate/seeds"), help="where their evaluations are kept")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
