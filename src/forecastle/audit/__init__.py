"""Proof against look-ahead: what is computed of the past must not change when the future is cut off or poisoned."""

from forecastle.audit.cuts import cut_points
from forecastle.audit.leaks import Compute, Subject, audit
from forecastle.audit.poison import poisoned

__all__ = ["Compute", "Subject", "audit", "cut_points", "poisoned"]
