"""What is wrong with the code of a backend: on what each of its faults depends, and what it computes instead."""
