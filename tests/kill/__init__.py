"""Kills a real server in the middle of changes, and judges what it comes back with."""
