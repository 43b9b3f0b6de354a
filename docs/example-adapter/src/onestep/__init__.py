"""A small library with one kernel: a GRU over a padded batch, in the layout that its author liked."""
