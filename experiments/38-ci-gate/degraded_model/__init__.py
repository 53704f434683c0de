"""Degraded copies of the grammar tutor, for showing that the gate refuses them."""
