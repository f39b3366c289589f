"""What several test modules need: tables, cases and comparisons."""
