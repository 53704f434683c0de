"""Render verdicts, baselines and analyses for people: tables, a page, and the artifacts of a decision."""
