"""Operations whose equations are changed: how to change them, and backends that compute what then comes out.

`changing` puts lines in the place of those with the same left side; `backend` makes an implementation of what results;
`compiled` lets it run fast.
"""
