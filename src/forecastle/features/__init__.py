"""Features: what was known of a market at each close. See ``docs/features.md``."""
