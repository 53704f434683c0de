"""Move the figures of a baseline to a new evaluation. Pure: bytes in, bytes out."""
