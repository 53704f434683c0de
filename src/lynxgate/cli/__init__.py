"""The command line: arguments in, values to the library, text out. It has no rule of the gate."""
