"""Faults planted in the derivatives of right code, and who notices them."""
