"""Data that models learn from: of packages, made by programs of this project, and in files that people have.

A reader of files gives one clear error where a file is damaged, and runs no code that is in it.
"""
