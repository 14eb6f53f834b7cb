"""What the witnesses share: inputs as tensors, directions to ask about, exceptions sorted."""
