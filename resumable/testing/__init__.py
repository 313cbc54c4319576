"""For people who write stores: the contract as tests, and crashes at every moment.

`contract.StoreContract` is what every store must pass, `crash_points` lets a process die at each of
its writes, `crash_states` looks at everything that a power cut may leave of a disk's.
"""
