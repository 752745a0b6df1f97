"""The command line: one module a command, with HELP, EXAMPLES, add_arguments and run."""
