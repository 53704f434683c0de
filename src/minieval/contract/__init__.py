"""What the gate and the evaluator share: documents, manifests, eval sets, exit codes. Nothing runs a candidate."""
