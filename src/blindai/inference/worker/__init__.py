"""Models in sandboxed processes: `processes` is the server's side, `zygote` theirs."""
