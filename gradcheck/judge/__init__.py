"""Comparing answers with the truth. No other room says whether a number is right."""
