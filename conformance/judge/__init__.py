"""What is right for one call, and how far from it a right implementation may land."""
