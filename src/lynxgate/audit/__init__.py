"""Read the registry for an auditor: verification, lineage and history. Nothing here writes."""
