"""The grammar tutor: a small model that inflects English verbs, of numpy and nothing else."""
