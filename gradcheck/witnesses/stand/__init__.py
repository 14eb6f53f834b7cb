"""What every witness needs: inputs as tensors, directions to ask about, and order in the court."""
