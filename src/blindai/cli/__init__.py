"""Words for people: one file a verb."""
