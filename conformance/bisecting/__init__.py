"""The first release of a library that violates, or conforms: releases, an environment for each, and the search."""
