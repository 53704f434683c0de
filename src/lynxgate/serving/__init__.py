"""Find the bundle of a promoted version for the process that serves it."""
