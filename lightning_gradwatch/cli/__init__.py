"""The ``gradwatch`` command, one file a command.

A command is a module in this folder whose name does not begin with an underscore.  It has

    a docstring               its first line is shown in the list of commands, all of it by ``gradwatch COMMAND --help``
    arguments(parser)         declares its arguments on an ``argparse.ArgumentParser``
    run(args) -> ExitCode     does the work; what people read goes to stdout

and imports torch, Lightning and everything else that is heavy inside ``run``.
"""
