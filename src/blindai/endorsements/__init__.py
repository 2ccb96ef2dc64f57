"""What vendors say about a platform's key, fetched so that the server can staple it.

    plans    which documents belong to evidence, as data         sources, amd, intel
    fetch    one document over HTTP, under limits                fetch
    keep     on disk, over restarts and outages                  cache
    refresh  before they expire, with patience                   schedule, refresh

Nothing here is trusted, and nothing here decides about trust: all of it is signed, and
the relying party verifies it. A wrong document costs a refusal, never more.
"""
