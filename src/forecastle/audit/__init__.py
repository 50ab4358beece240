"""Proof against look-ahead: what is computed of the past must not change when the future is cut off or poisoned."""
