"""Create, move and activate a baseline. Pure: bytes in, bytes out."""
