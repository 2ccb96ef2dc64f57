"""Made-up vendors: what hardware, firmware and their makers would issue, on demand."""
