"""The command line: arguments in, values to the library, text out. It holds no rule of the gate."""
