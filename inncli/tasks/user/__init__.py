"""The user's own simulator: a Python file with a prior and a simulate function.

Contents: `simulator.Simulator`, the task; `module.UserFile`, which runs the file and checks what it answers.
May import `tasks.base` and the rooms below `tasks`.
"""
