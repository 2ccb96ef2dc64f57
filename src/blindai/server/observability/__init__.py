"""What the operator may know of a running server: figures, states, lines in a log.

Nothing here holds what a user sent, a name of a model or a key. `record` is what one
request leaves behind; everything that is shown of requests is made from it.
"""
