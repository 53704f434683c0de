"""An eval set as a stream of columns: its files, their hashes, the kinds of its columns, and batches of rows."""
