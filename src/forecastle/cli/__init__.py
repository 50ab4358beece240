"""The command line: translates words into requests and nouns into tables, computes nothing."""
