"""Comparing answers with the truth. No other room compares numbers."""
