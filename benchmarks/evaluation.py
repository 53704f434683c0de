"""Measure an evaluation: CPU a row, memory, and how both grow, beside an earlier commit in the same run.

``python benchmarks/evaluation.py [--millions 10] [--before COMMIT]``. Whole processes under `process` isolation, on a
model that returns its column: CPU of minieval and its predictor together, memory of minieval alone. CPU a row is the
slope between 100,000 rows and a million, so that the start of Python and MLflow does not count; the last row of the
table is that start. ``--before`` measures the evaluator of an earlier commit (from git, run with this Python) between
20,000 and 100,000 rows of JSONL.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from processes import Cost, run

ROOT = Path(__file__).resolve().parent.parent
SMALL, LARGE = 100_000, 1_000_000
MODEL = """\
class Echo:
    def predict(self, frame):
        return list(frame["prompt"])


def _load_pyfunc(path):
    return Echo()
"""
MLMODEL = """\
artifact_path: model
flavors:
  python_function: {code: code, loader_module: echo, python_version: 3.11.7}
mlflow_version: 3.17.2
"""
# minieval in this process, whose own memory is written to a file: that of the predictor is the model's.
RUN = """
import resource, sys
from pathlib import Path
from minieval.command import run
code = run(sys.argv[2:])
Path(sys.argv[1]).write_text(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
sys.exit(code)
"""
TASK = """\
schema = "minieval.task/1"
id = "id"
expected = "expected"
features = ["prompt"]

[buckets]
columns = ["half", "third", "fifth"]
"""


def main() -> int:
    """Measure and print."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = write_bundle(folder / "bundle")
        (folder / "task.toml").write_text(TASK)
        print(f"{'rows':<34}{'us of CPU a row':>16}{'MiB of minieval':>16}")
        slopes = {form: _measure(folder, bundle, form) for form in ("jsonl", "csv", "parquet")}
        _report_growth(folder, bundle, arguments.millions)
        small = [_evaluate(folder, bundle, make_rows(folder, "jsonl", 1_000)) for _ in range(3)]
        print(f"{'1,000 rows of JSONL':<34}{min(cost.cpu_s for cost in small):>14.2f} s")
        if arguments.before:
            _report_before(folder, bundle, arguments.before, slopes["jsonl"], min(cost.cpu_s for cost in small))
    return 0


def write_bundle(folder: Path) -> Path:
    """An MLflow model directory whose model returns its column ``prompt``."""
    (folder / "code").mkdir(parents=True)
    (folder / "MLmodel").write_text(MLMODEL)
    (folder / "code" / "echo.py").write_text(MODEL)
    return folder


def make_rows(folder: Path, form: str, rows: int) -> Path:
    """Write an eval set in a process of its own: the peak memory of a child counts from that of its parent."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(write_rows, folder, form, rows).result()


def write_rows(folder: Path, form: str, rows: int) -> Path:
    """An eval set of ``rows`` rows of about 120 bytes, three buckets each; every seventh answer is not the prompt."""
    path = folder / f"rows-{rows}.{form}"
    if form == "jsonl":
        with path.open("w") as file:
            for i in range(rows):
                file.write(json.dumps(_row(i) | {"buckets": _buckets(i)}) + "\n")
        return path
    import pyarrow as pa  # noqa: PLC0415 - JSONL needs none of it
    from pyarrow import csv, parquet  # noqa: PLC0415

    step = 1_000_000
    writer: parquet.ParquetWriter | csv.CSVWriter | None = None
    for start in range(0, rows, step):
        numbers = range(start, min(start + step, rows))
        columns = {key: [_row(i)[key] for i in numbers] for key in _row(0)}
        columns |= dict(zip(("half", "third", "fifth"), zip(*map(_buckets, numbers), strict=True), strict=True))
        table = pa.table(columns)
        if writer is None:
            writer = (
                parquet.ParquetWriter(path, table.schema) if form == "parquet" else csv.CSVWriter(path, table.schema)
            )
        writer.write_table(table)
    assert writer is not None  # noqa: S101
    writer.close()
    return path


def _row(number: int) -> dict[str, str]:
    prompt = f"a prompt of some forty characters, {number:07d}"
    return {"id": f"row-{number:08d}", "prompt": prompt, "expected": prompt if number % 7 else "another"}


def _buckets(number: int) -> list[str]:
    return [f"half.{number % 2}", f"third.{number % 3}", f"fifth.{number % 5}"]


def _measure(folder: Path, bundle: Path, form: str) -> float:
    """Print and return the CPU a row of one format, in microseconds."""
    few, many = (_evaluate(folder, bundle, make_rows(folder, form, rows)) for rows in (SMALL, LARGE))
    slope = (many.cpu_s - few.cpu_s) / (LARGE - SMALL) * 1e6
    print(f"{f'{LARGE:,} of {form}':<34}{slope:>16.2f}{many.peak_mb:>16.0f}")
    return slope


def _report_growth(folder: Path, bundle: Path, millions: int) -> None:
    """Print how CPU and memory of Parquet grow from one million rows to many."""
    one, many = (_evaluate(folder, bundle, make_rows(folder, "parquet", n * LARGE)) for n in (1, millions))
    words = f"{many.cpu_s / one.cpu_s:.1f} x the CPU and {many.peak_mb / one.peak_mb:.2f} x the memory of {LARGE:,}"
    print(f"{f'{millions},000,000 of parquet':<34}{many.cpu_s / millions:>16.2f}{many.peak_mb:>16.0f}  {words}")


def _evaluate(folder: Path, bundle: Path, eval_set: Path, *, source: Path | None = None) -> Cost:
    """Run minieval once, of this checkout or of ``source``, and delete nothing."""
    memory = folder / "memory"
    command = [sys.executable, "-c", RUN, str(memory), "--bundle", str(bundle), "--eval-set", str(eval_set)]
    command += ["--output", str(folder / "evaluation.json"), "--isolation", "process"]
    if eval_set.suffix != ".jsonl":
        command += ["--task", str(folder / "task.toml")]
    cost = run(command, cwd=folder, PYTHONPATH=str((source or ROOT) / "src"))
    return replace(cost, peak_mb=float(memory.read_text()))


def _report_before(folder: Path, bundle: Path, commit: str, slope: float, small: float) -> None:
    """Print the same two figures of an earlier commit, and the ratios."""
    source = folder / "before"
    subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(source), commit], cwd=ROOT, check=True)
    try:
        few, many = (
            _evaluate(folder, bundle, make_rows(folder, "jsonl", n), source=source) for n in (SMALL // 5, SMALL)
        )
        before = (many.cpu_s - few.cpu_s) / (SMALL - SMALL // 5) * 1e6
        start = min(_evaluate(folder, bundle, folder / "rows-1000.jsonl", source=source).cpu_s for _ in range(3))
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(source)], cwd=ROOT, check=True)
    print(f"{f'{commit}: JSONL':<34}{before:>16.2f}{many.peak_mb:>16.0f}  now {slope / before:.3f} x")
    print(f"{f'{commit}: 1,000 rows of JSONL':<34}{start:>14.2f} s{'':>16}  now {small / start:.2f} x")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--millions", type=int, default=10, help="million rows of the large Parquet file")
    parser.add_argument("--before", default="", help="an earlier commit to measure beside")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
