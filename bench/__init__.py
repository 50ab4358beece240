"""Figures: each is a ratio of two things run side by side, medians of five interleaved rounds."""
