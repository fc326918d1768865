"""The embedded local cloud: MiniStack in a process of its own, and adapters that close its gaps to AWS.

`LocalCloud` in `process` starts and ends it; each adapter module says which gap it closes and has a contract test.
"""
