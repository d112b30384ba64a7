"""The command line: one thin file a command. Only this room prints, and only `app` turns an error into an exit code.

Contents: `app.main`, the entry point `inn`. Nothing else is imported from here.
May import every room. What a command needs is imported when it is called, so that `--help` is quick.
"""
