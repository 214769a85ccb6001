"""Cutting what somebody else wrote, a machine or a person: secrets in it are masked first, for half a secret is found by no mask."""

from __future__ import annotations

from bot.redaction import clip, clip_line, clip_middle

__all__ = ["clip", "clip_line", "clip_middle"]
