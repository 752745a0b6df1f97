"""What every command does with wrong options."""


def check_refused(folder, run, arguments, message):
    """Check that a command ends with status 2 and a message, and changes no file."""
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    ended = run(*arguments)
    assert ended.status == 2, ended.err
    assert message in ended.err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
