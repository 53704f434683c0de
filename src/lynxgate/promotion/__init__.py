"""Write to the registry: promotion, rollback, tombstones and recovery."""
