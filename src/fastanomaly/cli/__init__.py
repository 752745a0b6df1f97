"""The command line: one module a command, with NAME, HELP, add_arguments and run."""
