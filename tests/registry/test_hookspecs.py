"""The hooks: prefixed, documented, and found by pluggy."""

import inspect

import pluggy

from dovetail.registry import hookspecs

HOOKS = [value for name, value in vars(hookspecs).items() if name.startswith("dovetail_")]


def test_every_hook_says_what_it_is_for():
    assert len(HOOKS) == 6
    assert all(inspect.getdoc(hook) for hook in HOOKS)


def test_pluggy_takes_all_of_them():
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    assert {hook.__name__ for hook in HOOKS} <= set(vars(manager.hook))


def test_the_authoring_package_marks_hooks_for_the_same_project():
    from dovetail.plugins import hookimpl

    assert hookimpl.project_name == hookspecs.PROJECT
