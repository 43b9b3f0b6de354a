"""A soak: very many random cases, of which a right implementation must pass every one, and how near it comes.

`rnnspec soak` runs it. `examining` asks a backend about one case, `statistics` counts what came of many, `engine` works
through them in as many processes as wanted, and `state` keeps what is done, so that it can go on another day.
"""
