"""Flags that say what a task can do: they follow from the methods that its class overrides, not from a declaration."""

from __future__ import annotations

import inspect


def overrides(task: object, base: type, method: str) -> bool:
    """Whether `task`, an object or a class, has a method of its own in place of the one of `base`."""
    own = getattr(task, method)
    return getattr(own, "__func__", own) is not getattr(base, method)


class Ability:
    """A flag of a base class that is True where a method is overridden, as `has_log_prior = Ability("log_prior")`.

    A class or an object takes an ability back by setting its flag to False, where the inherited method is no longer
    right or a user's file lacks the function. True undoes that, but promises nothing: where the method is not
    overridden, the flag stays False. (Tasks of 0.4.0 set the flags beside the methods.)

    Args:
        method: name of the method that the flag stands for.
        allowed: False where a class has taken the ability back.
    """

    def __init__(self, method: str, allowed: bool = True) -> None:
        self.method, self.allowed = method, allowed

    def __set_name__(self, owner: type, name: str) -> None:
        self.base, self.name = owner, name

    def __get__(self, task: object | None, cls: type) -> bool:
        if task is None:
            return self.allowed and overrides(cls, self.base, self.method)
        return vars(task).get(self.name, self.allowed) and overrides(task, self.base, self.method)

    def __set__(self, task: object, allowed: bool) -> None:
        vars(task)[self.name] = bool(allowed)

    def within(self, cls: type) -> None:
        """Replaces a plain True or False that `cls` sets as this flag, which must not contradict the method."""
        allowed = inspect.getattr_static(cls, self.name)
        if isinstance(allowed, bool):
            own = Ability(self.method, allowed)
            own.__set_name__(self.base, self.name)
            setattr(cls, self.name, own)
