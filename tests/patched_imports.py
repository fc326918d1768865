"""Modules of a training host changed as they are imported there."""

PATCHED_IMPORTS = """
import importlib.abc
import importlib.util
import sys

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name not in PATCHES:
            return None
        patch = PATCHES.pop(name)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module
        def exec_module(module):
            run(module)
            patch(module)
        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, Finder())
"""
"""The end of a sitecustomize.py, whose `PATCHES` says what is done to which module once it has been run."""
