"""The repository's own entry points, which its workflow calls."""
