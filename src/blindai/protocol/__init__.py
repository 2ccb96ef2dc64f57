"""What crosses the wire, and nothing else: pure functions from bytes to values.

No network, no files, no clock, no randomness of its own beyond key generation in
`cryptography`. Every parser returns a value or raises its one documented error.
"""
