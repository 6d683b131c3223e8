"""Statements about a model other than its weights: in its header, then in files beside it. Results are cached."""

from __future__ import annotations

import os

from clip_skip.made_for.headers import in_header
from clip_skip.made_for.reading import Problem, remembered
from clip_skip.made_for.recommendation import Recommendation
from clip_skip.made_for.safetensors_file import SafetensorsFile
from clip_skip.made_for.sidecars import beside

__all__ = ["find_recommendation"]


def find_recommendation(path: str) -> Recommendation | None:
    """The clip skip that the model at `path` was made for, by its header or the files beside it.

    Of the model itself only the header is read; files other than .safetensors are never opened. Raises
    Problem if one of the files cannot be read and no other has a value.
    """
    problem = None
    try:
        recommendation = remembered(first_in_header, path) if path.lower().endswith(".safetensors") else None
    except Problem as error:
        recommendation, problem = None, error
    if recommendation:
        return recommendation
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
