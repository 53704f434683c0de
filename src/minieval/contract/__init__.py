"""The shared part of gate and evaluator: documents, hashes, eval sets, exit codes. Nothing here runs a candidate."""
