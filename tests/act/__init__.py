"""The shipped workflow, run by act."""
