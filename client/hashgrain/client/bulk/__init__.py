"""The encoding of a whole collection, which can be killed and goes on: ledger, plan, delivery, receipt."""
