"""An eval set as a stream of columns: its files, their hashes, the kinds of its columns, and batches of rows."""

from minieval.contract.exits import CannotJudge

try:
    import pyarrow as pyarrow
except ImportError as error:
    # Everything here needs it, and a base installation of the gate, which only compares documents, does without.
    raise CannotJudge("reading an eval set needs pyarrow; install lynxgate[arrow]") from error
