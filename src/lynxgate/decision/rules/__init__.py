"""The rules that judge buckets: `point` by the figures, `paired` (``guard``, ``noninferior``) by what is proved.

Each gives one row for each `BucketComparison`. `lynxgate.decision.compare` decides which rows there are.
"""
