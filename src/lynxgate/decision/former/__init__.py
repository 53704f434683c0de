"""Version 1 of the rules, for decisions that were taken by it: `replay` and `verify` repeat them as they were.

- No decision is taken here: `lynxgate.decision.compare.compare` knows version 2 alone.
- What version 2 mended stands here as it was: the search of `search`, and the clustered test of `paired`.
"""
