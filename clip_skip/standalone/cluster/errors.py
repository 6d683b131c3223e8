"""The error for a cluster that cannot be used."""

from __future__ import annotations

from clip_skip.messages.message import MessageError

__all__ = ["ClusterError"]


class ClusterError(MessageError):
    """The cluster cannot be used; the message says why."""
