"""Real Triton and Redis servers on this machine without containers: install, start, find, examine and stop them.

`servers` starts and stops them, `addresses` says where every command finds a server, `report` and `doctor`
look at what is there. Linux only; what runs is described in `triton_server` and `redis_server`.
"""
