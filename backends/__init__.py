"""Adapters: who claims to."""
