"""The command line: one thin file a command, and one a figure of `inn plot`. Only this room has exit codes.

    inn WORDS --app.main--> lazy.LazyGroup --> the command's module --> rooms --> console

`app` holds the commands' names and their lines of help; a command's module is imported when the command is called or
asked for its help. `console` is what prints, `drawing` what of it needs rich. `options` are those that several
commands share, `completion` their values in a shell.
May import every room, as `from inncli import inference`: see `inncli.rooms` for why that is quick.
"""
