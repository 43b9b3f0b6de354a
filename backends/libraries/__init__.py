"""Adapters of libraries that people build recurrent models with, a module for each.

No module is imported before its backend is opened. Each has an extra of the backend's name, which installs the library.
"""
