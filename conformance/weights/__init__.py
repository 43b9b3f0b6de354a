"""Weights of recurrent layers in people's files: read, written, and run on both sides of a conversion."""
