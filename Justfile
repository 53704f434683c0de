# Recipes a person types; CI runs the same ones. `just` alone lists them.
set shell := ["bash", "-euo", "pipefail", "-c"]
export UV_COMPILE_BYTECODE := "1"
export VIRTUAL_ENV := justfile_directory() / ".venv"
export PATH := VIRTUAL_ENV / "bin:" + env("PATH")

_list:
    @just --list --unsorted

# Install exactly what requirements.lock names, by hash, and this checkout
setup:
    @test -x .venv/bin/python || uv venv --quiet
    @uv pip sync --quiet --require-hashes requirements.lock
    @uv pip install --quiet --no-deps --no-build-isolation --editable .

# Resolve the three locks anew: everything, what evaluates and promotes in CI, and what reads and writes pull requests
lock:
    {{compile}} --all-extras --group dev --output-file requirements.lock
    {{compile}} --extra all --group build --constraints requirements.lock --output-file requirements-gate.lock
    {{compile}} --extra github --group build --constraints requirements.lock --output-file requirements-report.lock

compile := 'UV_CUSTOM_COMPILE_COMMAND="just lock" uv pip compile pyproject.toml --generate-hashes --no-emit-index-url --python-version 3.11 --quiet'

# The main job on the embedded defaults: train, gate a clean and a degraded candidate (one to four minutes)
demo: setup
    @python experiments/38-ci-gate/demo.py

# Lint, types and the unit tests: no server, no act, no browser (at most two minutes)
quick: setup lint
    pytest -n 2 --dist loadgroup -m "not parts and not slow and not heavy"

# Everything CI runs, on a fresh machine too (at most ten minutes on two quiet cores, without the installation)
test: system setup check

# All of it: every fault, every race, and what else takes minutes (about an hour)
full: system setup mlflow-2 torch python-3-9 lint
    pytest -n 3 --dist loadgroup -m ""

# What the tests need from Debian and, by hash, from npm; nothing when it is there
system:
    @missing=(); for pair in bwrap:bubblewrap rsync:rsync npm:npm "chromium-headless-shell:chromium-headless-shell fonts-liberation"; do \
      command -v "${pair%:*}" >/dev/null || missing+=(${pair#*:}); done; \
      [[ "$(/sbin/ldconfig -p)" == *libgomp.so.1* ]] || missing+=(libgomp1); \
      ((${#missing[@]} == 0)) || { apt-get update -qq && apt-get install -qq --yes --no-install-recommends "${missing[@]}"; } >/dev/null
    @[[ tests/npm/node_modules/.package-lock.json -nt tests/npm/package-lock.json ]] || \
      npm ci --prefix tests/npm --silent --ignore-scripts --no-audit --no-fund

# A server of MLflow 2.22 in an environment of its own, for the test of it in `just full` (650 MB); nothing when it is there
mlflow-2:
    @[[ .venv-mlflow-2/installed -nt tests/mlflow_2/requirements.lock ]] || \
      { uv venv --quiet --clear --python 3.11 .venv-mlflow-2 && \
        uv pip install --quiet --require-hashes --python .venv-mlflow-2/bin/python -r tests/mlflow_2/requirements.lock && \
        touch .venv-mlflow-2/installed; }

# Resolve what `just mlflow-2` installs anew
lock-mlflow-2:
    @UV_CUSTOM_COMPILE_COMMAND="just lock-mlflow-2" uv pip compile tests/mlflow_2/requirements.in --generate-hashes \
      --no-emit-index-url --python-version 3.11 --quiet --output-file tests/mlflow_2/requirements.lock

# torch and transformers with minieval in an environment of their own, for their test in `just full` (1.9 GB); nothing when it is there
torch:
    @[[ .venv-torch/installed -nt tests/torch_models/requirements.lock ]] || \
      { uv venv --quiet --clear --python 3.11 .venv-torch && \
        { {{install-torch}} 2>/dev/null || {{install-torch}} --torch-backend cpu; } && \
        uv pip install --quiet --no-deps --no-build-isolation --python .venv-torch/bin/python --editable . && \
        touch .venv-torch/installed; }

# Resolve what `just torch` installs anew
lock-torch:
    @UV_CUSTOM_COMPILE_COMMAND="just lock-torch" {{compile-torch}} 2>/dev/null || \
      UV_CUSTOM_COMPILE_COMMAND="just lock-torch" {{compile-torch}} --torch-backend cpu

# The wheel of torch for CPUs is not on the default index: a folder of wheels that pip knows has it, or else its makers' own index
wheels := 'UV_FIND_LINKS="${UV_FIND_LINKS:-${PIP_FIND_LINKS:-}}"'
install-torch := wheels + ' uv pip install --quiet --require-hashes --python .venv-torch/bin/python -r tests/torch_models/requirements.lock'
compile-torch := wheels + ' uv pip compile pyproject.toml tests/torch_models/requirements.in --extra mlflow --group build --constraints requirements.lock --generate-hashes --no-emit-index-url --no-emit-find-links --python-version 3.11 --quiet --output-file tests/torch_models/requirements.lock'

# Python 3.9 with MLflow 2.9, the oldest that a model's environment may have, for a test in `just full` (600 MB); nothing when it is there
python-3-9:
    @[[ .venv-python-3-9/installed -nt tests/python_3_9/requirements.lock ]] || \
      { python="$(compgen -G "$HOME/.pyenv/versions/3.9.*/bin/python" | head -n 1 || true)" && \
        uv venv --quiet --clear --python "${python:-3.9}" .venv-python-3-9 && \
        uv pip install --quiet --require-hashes --python .venv-python-3-9/bin/python -r tests/python_3_9/requirements.lock && \
        touch .venv-python-3-9/installed; }

# Resolve what `just python-3-9` installs anew
lock-python-3-9:
    @UV_CUSTOM_COMPILE_COMMAND="just lock-python-3-9" uv pip compile tests/python_3_9/requirements.in --generate-hashes \
      --no-emit-index-url --python-version 3.9 --quiet --output-file tests/python_3_9/requirements.lock

# Lint, types, layers, and the tests that are not heavy
check: lint
    pytest -n 3 --dist loadgroup

# Lint, types, layers, workflows
lint:
    ruff check
    ruff format --check
    mypy
    lint-imports
    actionlint
    shellcheck .ci/install .ci/run .ci/stage
    just docs
    zizmor --quiet --offline --persona auditor .github action.yml

# Write the generated pages: commands, Python API, the list of packages and modules
reference:
    @python -m scripts.reference

# Build the documentation site into site/; a broken link or anchor stops it
docs:
    @zensical build --strict --clean

# Compare a candidate's evaluation with the committed baseline, offline
[no-exit-message]
compare-baseline candidate:
    @python -m scripts.mlops.compare_baseline --candidate {{quote(candidate)}} --baseline eval_baseline.json

# Gate one MLflow run and promote it if it passes; on a laptop with LYNX_ENV=dev
[no-exit-message]
register-model run_id semver:
    @lynxgate gate --run-id {{quote(run_id)}} --semver {{quote(semver)}}

# Write the output of the demo into docs/demo.md
readme: setup
    @python experiments/38-ci-gate/demo.py 2>&1 | python -m scripts.blocks demo

# Gate two candidates at a desk and in a pull request; write pr_clean.md, pr_regressed.md, pictures, manifest.json (four minutes)
pr-pages: system setup
    @PYTHONPATH=.:experiments/38-ci-gate python -m pr_pages

# Kill a promotion before and after each of its calls, and write the table in docs/reliability.md
kill-table:
    @python -m tests.promotion.kill_table | python -m scripts.blocks kills

# Fail every call of a promotion in seven ways, race 64 processes, and write the table in docs/reliability.md (a quarter of an hour)
faults:
    @python -m tests.faults.table --write docs/reliability.md
    @pytest -q -s -m "" tests/faults/test_races.py

# Simulate many processes on two registries: how many seeds, from which on; `--show` prints the steps of one
simulate seeds="1000" first="1" *options:
    @python -m tests.simulation {{seeds}} {{first}} {{options}}

# Fuzz every parser, guided by coverage, for that many seconds in all on one core; `just fuzz 60 comment yaml` only two
fuzz seconds="600" *targets:
    @python -m tests.fuzz {{seconds}} {{targets}}

# Move the numbers of eval_baseline.json to those of an evaluation; review the diff, and give it a pull request of its own
rebaseline evaluation="candidate_eval.json":
    @lynxgate baseline rebaseline --evaluation {{quote(evaluation)}}
