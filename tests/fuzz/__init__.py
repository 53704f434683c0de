"""Fuzzing of every parser: the targets, a coverage-guided run of them, and the replay of the kept corpus."""
