"""Errors of shared work, which the command line shows as one line."""

from __future__ import annotations


class ClusterError(ValueError):
    """The work cannot be done by this cluster."""


class WorkerLostError(Exception):
    """A process that did a piece of work is lost, and the piece with it."""
