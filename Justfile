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

# Resolve requirements.lock anew
lock:
    UV_CUSTOM_COMPILE_COMMAND="just lock" uv pip compile pyproject.toml --all-extras --group dev --generate-hashes --no-emit-index-url --python-version 3.11 --quiet --output-file requirements.lock
