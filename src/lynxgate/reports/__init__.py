"""Render verdicts for people: tables, a page, and the artifacts that a decision leaves."""
