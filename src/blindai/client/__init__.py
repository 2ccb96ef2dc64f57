"""The relying party: attest first, then seal, send and open."""
