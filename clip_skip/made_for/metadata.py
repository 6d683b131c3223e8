"""Statements about a model other than its weights: in its header, then in files beside it. Results are cached."""

from __future__ import annotations

import os

from clip_skip.made_for.headers import in_header
from clip_skip.made_for.reading import Problem, remembered
from clip_skip.made_for.recommendation import Recommendation
from clip_skip.made_for.safetensors_file import SafetensorsFile
from clip_skip.made_for.sidecars import beside

__all__ = ["stated"]


def stated(path: str) -> Recommendation | None:
    """Statements of the model at `path` about the clip skip that it was made for.

    Of the model itself only the header is read; a file of another kind than .safetensors is never opened. Raises
    Problem where one of the files cannot be read and no other one answers.
    """
    problem = None
    try:
        found = remembered(first_in_header, path) if path.lower().endswith(".safetensors") else None
    except Problem as error:
        found, problem = None, error
    if found:
        return found
    others, other_problem = beside(path)
    if others:
        return others[0]
    problem = problem or other_problem
    if problem:
        raise problem
    return None


def first_in_header(path: str) -> Recommendation | None:
    with SafetensorsFile(path) as file:
        return next(in_header(file.metadata, os.path.basename(path)), None)
