"""What an eval set means: its columns, its buckets, how an answer is read, and how a row is scored. No file is read."""
